// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"
)

func init() {
	questions["yield"] = question{"ns/yield", 500000, roundYield}
	questions["pingpong"] = question{"ns/trip", 200000, roundPingpong}
	questions["chan_1000x1000"] = question{"ns/item", 1000, roundFanin}
	questions["mutex_1000x1000"] = question{"ns/lock", 1000, roundMutex}
	questions["timeout"] = question{"ns/deadline", 200000, roundTimeout}
	questions["timers_create"] = question{"ns/timer", 100000, roundTimers}
}

func roundYield(n int) float64 {
	var group sync.WaitGroup
	start := time.Now()
	group.Add(2)
	for i := 0; i < 2; i++ {
		go func() {
			for j := 0; j < n; j++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
	return since(start) / float64(2*n)
}

func roundPingpong(n int) float64 {
	there, back := make(chan int, 1), make(chan int, 1)
	go func() {
		for ball := range there {
			back <- ball + 1
		}
	}()
	ball := 0
	start := time.Now()
	for i := 0; i < n; i++ {
		there <- ball
		ball = <-back
	}
	took := since(start)
	close(there)
	check(ball == n, "each trip adds one")
	return took / float64(n)
}

func roundFanin(n int) float64 {
	const each, capacity = 1000, 128
	items := make(chan int, capacity)
	start := time.Now()
	for i := 0; i < n; i++ {
		go func() {
			for j := 1; j <= each; j++ {
				items <- j
			}
		}()
	}
	sum := 0
	for i := 0; i < n*each; i++ {
		sum += <-items
	}
	took := since(start)
	check(sum == n*each*(each+1)/2, "each number comes once")
	return took / float64(n*each)
}

func roundMutex(n int) float64 {
	const each = 1000
	var lock sync.Mutex
	var group sync.WaitGroup
	counter := 0
	start := time.Now()
	group.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			for j := 0; j < each; j++ {
				lock.Lock()
				counter++
				lock.Unlock()
			}
			group.Done()
		}()
	}
	group.Wait()
	took := since(start)
	check(counter == n*each, "no addition is lost")
	return took / float64(n*each)
}

func roundTimeout(n int) float64 {
	fired := 0
	start := time.Now()
	for i := 0; i < n; i++ {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if ctx.Err() != nil {
			fired++
		}
		cancel()
	}
	took := since(start)
	check(fired == 0, "a minute has not passed")
	return took / float64(n)
}

var timersCancel []float64

// As bench/micro/timers.c: tasks that sleep for an hour, cancelled in creation order.
func roundTimers(n int) float64 {
	stop := make([]chan struct{}, n)
	var asleep, ended sync.WaitGroup
	asleep.Add(n)
	ended.Add(n)
	start := time.Now()
	for i := 0; i < n; i++ {
		stop[i] = make(chan struct{})
		go func(i int) {
			timer := time.NewTimer(time.Hour + time.Duration(i*7919%100003)*time.Millisecond)
			asleep.Done()
			select {
			case <-timer.C:
			case <-stop[i]:
				timer.Stop()
			}
			ended.Done()
		}(i)
	}
	asleep.Wait()
	armed := since(start)
	for i := range stop {
		close(stop[i])
	}
	ended.Wait()
	timersCancel = append(timersCancel, (since(start)-armed)/float64(n))
	return armed / float64(n)
}

// Small files, each opened, read and closed; the files are made before the clock starts.
func roundFiles(n int) float64 {
	const size = 1024
	folder, err := os.MkdirTemp("", "peer-go")
	check(err == nil, "a folder")
	defer os.RemoveAll(folder)
	names := make([]string, n)
	for i := range names {
		names[i] = filepath.Join(folder, strconv.Itoa(i))
		check(os.WriteFile(names[i], make([]byte, size), 0o600) == nil, "a file")
	}
	buf := make([]byte, 4096)
	start := time.Now()
	for _, name := range names {
		file, err := os.Open(name)
		check(err == nil, "open")
		got, _ := file.Read(buf)
		check(got == size, "read")
		file.Close()
	}
	return since(start) / float64(n)
}
