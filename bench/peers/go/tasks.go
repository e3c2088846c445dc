// SPDX-License-Identifier: MIT

package main

import (
	"sync"
	"time"
)

func init() {
	questions["fib"] = question{"ns/task", 25, roundFib}
	questions["create_join"] = question{"ns/task", 200000, roundAwait}
	questions["create_await"] = question{"ns/task", 200000, roundAwait}
	questions["create_1000_join_1000"] = question{"ns/task", 200, roundBatches}
	questions["create_100k_gather"] = question{"ns/task", 100000, roundGather}
	questions["skynet_chan"] = question{"ms", 1000000, roundSkynet}
	questions["chain"] = question{"ns/link", 200000, roundChain}
	questions["file_many"] = question{"ns/file", 10000, roundFiles}
}

// A goroutine and a channel for its result: what Go has for a task that is joined.
func fib(n int) int {
	if n < 2 {
		return n
	}
	result := make(chan int, 1)
	go func() { result <- fib(n - 1) }()
	b := fib(n - 2)
	return <-result + b
}

func roundFib(n int) float64 {
	start := time.Now()
	result := fib(n)
	took := since(start)
	a, b := 0, 1
	for i := 0; i <= n; i++ {
		a, b = b, a+b
	}
	check(result == b-a, "fib")
	return took / float64(a-1)
}

func roundAwait(n int) float64 {
	ran := 0
	start := time.Now()
	for i := 0; i < n; i++ {
		done := make(chan struct{})
		go func() {
			ran++
			close(done)
		}()
		<-done
	}
	took := since(start)
	check(ran == n, "every task runs once")
	return took / float64(n)
}

func roundBatches(n int) float64 {
	const batch = 1000
	ran := make([]int, batch)
	done := make([]chan struct{}, batch)
	start := time.Now()
	for i := 0; i < n; i++ {
		for j := range done {
			j := j
			done[j] = make(chan struct{})
			go func() {
				ran[j]++
				close(done[j])
			}()
		}
		for j := range done {
			<-done[j]
		}
	}
	took := since(start)
	for _, times := range ran {
		check(times == n, "every task runs once")
	}
	return took / float64(n*batch)
}

func roundGather(n int) float64 {
	ran := make([]bool, n)
	var group sync.WaitGroup
	start := time.Now()
	group.Add(n)
	for i := 0; i < n; i++ {
		i := i
		go func() {
			ran[i] = true
			group.Done()
		}()
	}
	group.Wait()
	took := since(start)
	for _, one := range ran {
		check(one, "every task runs")
	}
	return took / float64(n)
}

func skynet(out chan<- int, first, leaves int) {
	if leaves == 1 {
		out <- first
		return
	}
	in := make(chan int)
	for i := 0; i < 10; i++ {
		go skynet(in, first+i*(leaves/10), leaves/10)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-in
	}
	out <- sum
}

func roundSkynet(n int) float64 {
	in := make(chan int)
	start := time.Now()
	go skynet(in, 0, n)
	check(<-in == n*(n-1)/2, "skynet sum")
	return since(start) / 1e6
}

// Each link waits for the end of the one before.
func roundChain(n int) float64 {
	ran := 0
	start := time.Now()
	before := make(chan struct{})
	first := before
	for i := 0; i < n; i++ {
		end := make(chan struct{})
		go func(before, end chan struct{}) {
			<-before
			ran++
			close(end)
		}(before, end)
		before = end
	}
	close(first)
	<-before
	took := since(start)
	check(ran == n, "every link runs once")
	return took / float64(n)
}
