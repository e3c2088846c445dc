// SPDX-License-Identifier: MIT

//! The echo server, hyper's hello server, and many sleeping tasks.

use crate::{check, print};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

pub async fn echo() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening {}", listener.local_addr().unwrap());
    loop {
        let (mut conn, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut buf = vec![0; 4096];
            while let Ok(n) = conn.read(&mut buf).await {
                if n == 0 || conn.write_all(&buf[..n]).await.is_err() {
                    return;
                }
            }
        });
    }
}

pub async fn http() {
    use hyper::service::{make_service_fn, service_fn};
    use hyper::{header, Body, Response, Server};
    use std::convert::Infallible;

    let hello = |_| async {
        let reply = Response::builder().header(header::CONTENT_TYPE, "text/plain");
        Ok::<_, Infallible>(reply.body(Body::from("Hello, world\n")).unwrap())
    };
    let service = make_service_fn(|_| async move { Ok::<_, Infallible>(service_fn(hello)) });
    let server = Server::bind(&([127, 0, 0, 1], 0).into()).tcp_nodelay(true).serve(service);
    println!("listening {}", server.local_addr());
    server.await.unwrap();
}

/// A field of /proc/self/status, in KiB.
fn status_kib(field: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Processor time of the process so far: its threads' nanoseconds.
fn cpu_seconds() -> f64 {
    let mut sum = 0.0;
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        sum += stat.split_whitespace().next().unwrap().parse::<f64>().unwrap();
    }
    sum / 1e9
}

/// n tasks asleep: memory per task, and the processor time to create and finish them.
pub async fn sleepers(n: usize, workers: usize) {
    let asleep = Arc::new(AtomicUsize::new(0));
    let wake = Arc::new(Notify::new());
    let mut tasks = Vec::with_capacity(n);
    let (rss, tables, cpu) = (status_kib("VmRSS:"), status_kib("VmPTE:"), cpu_seconds());
    for _ in 0..n {
        let (asleep, wake) = (asleep.clone(), wake.clone());
        tasks.push(tokio::spawn(async move {
            let woken = wake.notified();
            asleep.fetch_add(1, Relaxed);
            check(
                tokio::time::timeout(Duration::from_secs(3600), woken).await.is_ok(),
                "an hour has not passed",
            );
        }));
    }
    while asleep.load(Relaxed) < n {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let per = 1.0 / n as f64;
    print("sleeper_rss", workers, &mut [(status_kib("VmRSS:") - rss) * per], "KiB/task");
    print("sleeper_tables", workers, &mut [(status_kib("VmPTE:") - tables) * per], "KiB/task");
    wake.notify_waiters();
    for task in tasks {
        task.await.unwrap();
    }
    print("sleeper_us", workers, &mut [(cpu_seconds() - cpu) * 1e6 * per], "us/task");
}
