// SPDX-License-Identifier: MIT

//! Waits and messages: yields, channels, a lock, deadlines, timers.

use crate::{check, since, Figures, Question};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, Mutex};

pub const QUESTIONS: &[Question] = &[
    Question { names: &["yield"], unit: "ns/yield", n: 500_000, round: yields },
    Question { names: &["pingpong"], unit: "ns/trip", n: 200_000, round: pingpong },
    Question { names: &["chan_1000x1000"], unit: "ns/item", n: 1000, round: fanin },
    Question { names: &["mutex_1000x1000"], unit: "ns/lock", n: 1000, round: mutex },
    Question { names: &["timeout"], unit: "ns/deadline", n: 200_000, round: timeout },
    Question {
        names: &["timers_create", "timers_cancel"],
        unit: "ns/timer",
        n: 100_000,
        round: timers,
    },
];

fn yields(n: usize) -> Figures {
    Box::pin(async move {
        async fn giving_way(n: usize) {
            for _ in 0..n {
                tokio::task::yield_now().await;
            }
        }
        let start = Instant::now();
        let (a, b) = (tokio::spawn(giving_way(n)), tokio::spawn(giving_way(n)));
        a.await.unwrap();
        b.await.unwrap();
        vec![since(start) / (2 * n) as f64]
    })
}

fn pingpong(n: usize) -> Figures {
    Box::pin(async move {
        let (there, mut at_there) = mpsc::channel::<usize>(1);
        let (back, mut at_back) = mpsc::channel::<usize>(1);
        tokio::spawn(async move {
            while let Some(ball) = at_there.recv().await {
                back.send(ball + 1).await.unwrap();
            }
        });
        let mut ball = 0;
        let start = Instant::now();
        for _ in 0..n {
            there.send(ball).await.unwrap();
            ball = at_back.recv().await.unwrap();
        }
        let took = since(start);
        check(ball == n, "each trip adds one");
        vec![took / n as f64]
    })
}

fn fanin(n: usize) -> Figures {
    const EACH: usize = 1000;
    Box::pin(async move {
        let (sender, mut receiver) = mpsc::channel(128);
        let start = Instant::now();
        for _ in 0..n {
            let sender = sender.clone();
            tokio::spawn(async move {
                for i in 1..=EACH {
                    sender.send(i).await.unwrap();
                }
            });
        }
        drop(sender);
        let mut sum = 0;
        while let Some(item) = receiver.recv().await {
            sum += item;
        }
        let took = since(start);
        check(sum == n * EACH * (EACH + 1) / 2, "each number comes once");
        vec![took / (n * EACH) as f64]
    })
}

fn mutex(n: usize) -> Figures {
    const EACH: usize = 1000;
    Box::pin(async move {
        let counter = Arc::new(Mutex::new(0));
        let start = Instant::now();
        let tasks: Vec<_> = (0..n)
            .map(|_| {
                let counter = counter.clone();
                tokio::spawn(async move {
                    for _ in 0..EACH {
                        *counter.lock().await += 1;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let took = since(start);
        check(*counter.lock().await == n * EACH, "no addition is lost");
        vec![took / (n * EACH) as f64]
    })
}

/// Whether a future is ready when it is polled, which happens once.
struct PollOnce<'a, F>(Pin<&'a mut F>);

impl<F: Future> Future for PollOnce<'_, F> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        Poll::Ready(self.0.as_mut().poll(context).is_ready())
    }
}

/// A deadline around something that does not wait; polling it is what arms the timer.
fn timeout(n: usize) -> Figures {
    Box::pin(async move {
        let start = Instant::now();
        for _ in 0..n {
            let pending = tokio::time::timeout(Duration::from_secs(60), std::future::pending::<()>());
            tokio::pin!(pending);
            check(!PollOnce(pending).await, "a minute has not passed");
        }
        vec![since(start) / n as f64]
    })
}

/// As bench/micro/timers.c: tasks that sleep for an hour, cancelled in creation order.
fn timers(n: usize) -> Figures {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    Box::pin(async move {
        let asleep = Arc::new(AtomicUsize::new(0));
        let start = Instant::now();
        let tasks: Vec<_> = (0..n)
            .map(|i| {
                let asleep = asleep.clone();
                tokio::spawn(async move {
                    let more = Duration::from_millis((i * 7919 % 100_003) as u64);
                    asleep.fetch_add(1, Relaxed);
                    tokio::time::sleep(Duration::from_secs(3600) + more).await;
                })
            })
            .collect();
        while asleep.load(Relaxed) < n {
            tokio::task::yield_now().await;
        }
        let armed = since(start);
        for task in &tasks {
            task.abort();
        }
        for task in tasks {
            check(task.await.is_err(), "sleepers are cancelled");
        }
        vec![armed / n as f64, (since(start) - armed) / n as f64]
    })
}

