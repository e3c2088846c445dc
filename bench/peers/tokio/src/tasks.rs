// SPDX-License-Identifier: MIT

//! Tasks: created, awaited, gathered, chained; files.

use crate::{check, since, Figures, Question};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::Sender;

pub const QUESTIONS: &[Question] = &[
    Question { names: &["create_join"], unit: "ns/task", n: 300_000, round: one_by_one },
    Question { names: &["create_await"], unit: "ns/task", n: 300_000, round: one_by_one },
    Question { names: &["create_1000_join_1000"], unit: "ns/task", n: 200, round: batches },
    Question { names: &["create_100k_gather"], unit: "ns/task", n: 100_000, round: gather },
    Question { names: &["chain"], unit: "ns/link", n: 200_000, round: chain },
    Question { names: &["skynet_chan"], unit: "ms", n: 1_000_000, round: skynet },
    Question { names: &["fib"], unit: "ns/task", n: 22, round: fib },
    Question { names: &["file_many"], unit: "ns/file", n: 10_000, round: files },
];

fn one_by_one(n: usize) -> Figures {
    Box::pin(async move {
        let ran = Arc::new(AtomicUsize::new(0));
        let start = Instant::now();
        for _ in 0..n {
            let ran = ran.clone();
            tokio::spawn(async move { ran.store(ran.load(Relaxed) + 1, Relaxed) }).await.unwrap();
        }
        let took = since(start);
        check(ran.load(Relaxed) == n, "every task runs once");
        vec![took / n as f64]
    })
}

/// Creates `batch` tasks, then awaits them in creation order, n times over.
async fn batch_times(n: usize, batch: usize) -> f64 {
    let mut tasks = Vec::with_capacity(batch);
    let mut ran = 0;
    let start = Instant::now();
    for _ in 0..n {
        for _ in 0..batch {
            tasks.push(tokio::spawn(async { 1 }));
        }
        for task in tasks.drain(..) {
            ran += task.await.unwrap();
        }
    }
    let took = since(start);
    check(ran == n * batch, "every task runs once");
    took / (n * batch) as f64
}

fn batches(n: usize) -> Figures {
    Box::pin(async move { vec![batch_times(n, 1000).await] })
}

fn gather(n: usize) -> Figures {
    Box::pin(async move { vec![batch_times(1, n).await] })
}

/// Each link awaits the one before.
fn chain(n: usize) -> Figures {
    Box::pin(async move {
        let start = Instant::now();
        let mut last = tokio::spawn(async { 1 });
        for _ in 1..n {
            let before = last;
            last = tokio::spawn(async move { before.await.unwrap() + 1 });
        }
        let ran: usize = last.await.unwrap();
        let took = since(start);
        check(ran == n, "every link runs once");
        vec![took / n as f64]
    })
}

fn node(out: Sender<usize>, first: usize, leaves: usize) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if leaves == 1 {
            out.send(first).await.unwrap();
            return;
        }
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        for i in 0..10 {
            tokio::spawn(node(sender.clone(), first + i * (leaves / 10), leaves / 10));
        }
        drop(sender);
        let mut sum = 0;
        while let Some(part) = receiver.recv().await {
            sum += part;
        }
        out.send(sum).await.unwrap();
    })
}

fn skynet(n: usize) -> Figures {
    Box::pin(async move {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let start = Instant::now();
        tokio::spawn(node(sender, 0, n));
        check(receiver.recv().await == Some(n * (n - 1) / 2), "skynet sum");
        vec![since(start) / 1e6]
    })
}

fn fib_node(n: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let a = tokio::spawn(fib_node(n - 1));
        let b = fib_node(n - 2).await;
        a.await.unwrap() + b
    })
}

fn fib(n: usize) -> Figures {
    Box::pin(async move {
        let start = Instant::now();
        let result = fib_node(n).await;
        let took = since(start);
        let (mut a, mut b) = (0, 1);
        for _ in 0..n + 1 {
            (a, b) = (b, a + b);
        }
        check(result == b - a, "fib");
        vec![took / (a - 1) as f64]
    })
}

/// Small files, each opened, read and closed; they are made before the clock starts.
fn files(n: usize) -> Figures {
    use tokio::io::AsyncReadExt;
    Box::pin(async move {
        let folder = std::env::temp_dir().join(format!("peer-tokio-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let names: Vec<_> = (0..n).map(|i| folder.join(i.to_string())).collect();
        for name in &names {
            std::fs::write(name, [0; 1024]).unwrap();
        }
        let mut buf = vec![0; 4096];
        let start = Instant::now();
        for name in &names {
            let mut file = tokio::fs::File::open(name).await.unwrap();
            check(file.read(&mut buf).await.unwrap() == 1024, "read");
        }
        let took = since(start);
        std::fs::remove_dir_all(&folder).unwrap();
        vec![took / n as f64]
    })
}
