// SPDX-License-Identifier: MIT

// The Go peer: bench/micro's questions with goroutines, channels and timers; one file a group of
// questions. The frame: options, rounds after one that is not counted, and the same line of output.
//
//	peer-go QUESTION [--workers N] [--rounds N] [--n N]
//	peer-go echo|http [--workers N]
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"time"
)

type question struct {
	unit  string
	n     int
	round func(n int) float64
}

var questions = map[string]question{}

// Nanoseconds since start.
func since(start time.Time) float64 {
	return float64(time.Since(start).Nanoseconds())
}

func check(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, "peer: wrong:", what)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintf(os.Stderr, "usage: %s QUESTION [--workers N] [--rounds N] [--n N]\n", os.Args[0])
	os.Exit(2)
}

func printFigures(name string, workers int, figures []float64, unit string) {
	sort.Float64s(figures)
	count := len(figures)
	median := (figures[(count-1)/2] + figures[count/2]) / 2
	fmt.Printf("%s %d %.2f %.2f %.2f %s\n", name, workers, median, figures[0],
		figures[count-1], unit)
}

func main() {
	workers, rounds, n := 1, 5, 0
	if len(os.Args) < 2 || len(os.Args)%2 != 0 {
		usage()
	}
	for i := 2; i+1 < len(os.Args); i += 2 {
		value, err := strconv.Atoi(os.Args[i+1])
		switch {
		case err != nil:
			usage()
		case os.Args[i] == "--workers":
			workers = value
		case os.Args[i] == "--rounds":
			rounds = value
		case os.Args[i] == "--n":
			n = value
		default:
			usage()
		}
	}
	runtime.GOMAXPROCS(workers)
	if serve(os.Args[1]) {
		return
	}
	asked, there := questions[os.Args[1]]
	if !there {
		usage()
	}
	if n == 0 {
		n = asked.n
	}
	if asked.unit == "memory" {
		sleepers(n, workers)
		return
	}
	asked.round(n) // touches the memory
	figures := make([]float64, rounds)
	for i := range figures {
		figures[i] = asked.round(n)
	}
	printFigures(os.Args[1], workers, figures, asked.unit)
	if os.Args[1] == "timers_create" {
		printFigures("timers_cancel", workers, timersCancel[1:], asked.unit)
	}
}
