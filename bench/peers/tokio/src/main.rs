// SPDX-License-Identifier: MIT

//! The Tokio peer: bench/micro's questions with its tasks, channels and timers. One worker is the
//! current_thread runtime, more are multi_thread. The frame: options, rounds after one that is not
//! counted, and the same line of output.
//!
//!     peer-tokio QUESTION [--workers N] [--rounds N] [--n N]
//!     peer-tokio echo|http [--workers N]

mod messages;
mod server;
mod tasks;

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

/// What a round gives: figures, the first of which has the question's name.
pub type Figures = Pin<Box<dyn Future<Output = Vec<f64>> + Send>>;

pub struct Question {
    pub names: &'static [&'static str],
    pub unit: &'static str,
    pub n: usize,
    pub round: fn(usize) -> Figures,
}

pub fn check(ok: bool, what: &str) {
    if !ok {
        eprintln!("peer: wrong: {what}");
        std::process::exit(1);
    }
}

/// Nanoseconds since start.
pub fn since(start: Instant) -> f64 {
    start.elapsed().as_nanos() as f64
}

pub fn print(name: &str, workers: usize, figures: &mut [f64], unit: &str) {
    figures.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let count = figures.len();
    let median = (figures[(count - 1) / 2] + figures[count / 2]) / 2.0;
    println!(
        "{name} {workers} {median:.2} {:.2} {:.2} {unit}",
        figures[0],
        figures[count - 1]
    );
}

fn usage() -> ! {
    eprintln!("usage: peer-tokio QUESTION [--workers N] [--rounds N] [--n N]");
    std::process::exit(2)
}

/// The main task is spawned, so that it runs on a worker as the others do.
fn run<T: Send + 'static>(workers: usize, main: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = if workers == 1 {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    } else {
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()
    }
    .unwrap();
    runtime.block_on(async { tokio::spawn(main).await.unwrap() })
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (mut workers, mut rounds, mut n) = (1, 5, 0);
    if arguments.len() % 2 != 0 {
        usage();
    }
    for pair in arguments[2..].chunks(2) {
        let value = pair[1].parse().unwrap_or_else(|_| usage());
        match pair[0].as_str() {
            "--workers" => workers = value,
            "--rounds" => rounds = value,
            "--n" => n = value,
            _ => usage(),
        }
    }
    let name = arguments[1].as_str();
    match name {
        "echo" => return run(workers, server::echo()),
        "http" => return run(workers, server::http()),
        "sleepers" => {
            return run(workers, server::sleepers(if n > 0 { n } else { 100_000 }, workers))
        }
        _ => (),
    }
    let question = tasks::QUESTIONS
        .iter()
        .chain(messages::QUESTIONS)
        .find(|q| q.names[0] == name)
        .unwrap_or_else(|| usage());
    let n = if n > 0 { n } else { question.n };
    let figures = run(workers, async move {
        (question.round)(n).await; // touches the memory
        let mut figures = Vec::new();
        for _ in 0..rounds {
            figures.push((question.round)(n).await);
        }
        figures
    });
    for (i, name) in question.names.iter().enumerate() {
        let mut column: Vec<f64> = figures.iter().map(|row| row[i]).collect();
        print(name, workers, &mut column, question.unit);
    }
}
