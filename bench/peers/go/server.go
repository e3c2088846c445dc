// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

func init() {
	questions["sleepers"] = question{"memory", 100000, nil}
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err == nil, "listen")
	fmt.Println("listening", listener.Addr())
	return listener
}

func echo(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err = conn.Write(buf[:n]); err != nil {
			return
		}
	}
}

// Serves if the name is a server's; until it is ended by a signal.
func serve(name string) bool {
	switch name {
	case "echo":
		listener := listen()
		for {
			conn, err := listener.Accept()
			check(err == nil, "accept")
			go echo(conn)
		}
	case "http":
		hello := []byte("Hello, world\n")
		http.Serve(listen(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Write(hello)
		}))
		return true
	}
	return false
}

// A field of /proc/self/status, in KiB.
func statusKib(field string) float64 {
	text, err := os.ReadFile("/proc/self/status")
	check(err == nil, "/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, field) {
			kib, _ := strconv.ParseFloat(strings.Fields(line)[1], 64)
			return kib
		}
	}
	return 0
}

func cpuSeconds() float64 {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

// n goroutines asleep: memory per goroutine, and the processor time to create and finish them.
func sleepers(n, workers int) {
	var asleep, ended sync.WaitGroup
	wake := make(chan struct{})
	asleep.Add(n)
	ended.Add(n)
	rss, tables, cpu := statusKib("VmRSS:"), statusKib("VmPTE:"), cpuSeconds()
	for i := 0; i < n; i++ {
		go func() {
			timer := time.NewTimer(time.Hour)
			asleep.Done()
			select {
			case <-timer.C:
			case <-wake:
				timer.Stop()
			}
			ended.Done()
		}()
	}
	asleep.Wait()
	per := 1 / float64(n)
	printFigures("sleeper_rss", workers, []float64{(statusKib("VmRSS:") - rss) * per}, "KiB/task")
	printFigures("sleeper_tables", workers, []float64{(statusKib("VmPTE:") - tables) * per},
		"KiB/task")
	close(wake)
	ended.Wait()
	printFigures("sleeper_us", workers, []float64{(cpuSeconds() - cpu) * 1e6 * per}, "us/task")
}
