-- SPDX-License-Identifier: MIT
--
-- wrk.lua - makes wrk print its figures as JSON, as weft-load --json does.

function done(summary, latency, requests)
	local e = summary.errors
	local seconds = summary.duration / 1e6
	io.write(string.format(
		'{"requests": %d, "seconds": %.3f, "rps": %.0f, "p50_us": %.1f, "p99_us": %.1f, ' ..
		'"p999_us": %.1f, "max_us": %.1f, "errors": %d}\n',
		summary.requests, seconds, summary.requests / seconds, latency:percentile(50),
		latency:percentile(99), latency:percentile(99.9), latency.max,
		e.connect + e.read + e.write + e.status + e.timeout))
end
