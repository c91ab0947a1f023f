# Print the figures of two samples of /metrics on one line.
#
#   awk -v seconds=2 -f figures.awk sample=1 FIRST sample=2 SECOND
#
# POSIX awk: Debian's is mawk.

/^#/ { next }

/^barestream_delivery_lag_seconds_bucket/ {
    bound = $1
    sub(/.*le="/, "", bound)
    sub(/".*/, "", bound)
    if (sample == 1) {
        before[bound] = $2
    } else {
        # The buckets come in order, and each count includes those below it.
        bounds[++buckets] = bound
        within[buckets] = $2 - before[bound]
    }
    next
}

sample == 1 { earlier[$1] = $2 }
sample == 2 { later[$1] = $2 }

function increase(name) { return later[name] - earlier[name] }

function per_second(count) { return sprintf("%.1f", count / seconds) }

# The bound below which that share of the events was delivered.
function lag(share,    nth) {
    if (within[buckets] == 0) return "none"
    for (nth = 1; within[nth] < share * within[buckets]; nth++) continue
    if (bounds[nth] == "+Inf") return "above " bounds[nth - 1] * 1000 " ms"
    return "below " bounds[nth] * 1000 " ms"
}

END {
    printf "%d streams", later["barestream_streams"]
    # An older release has only the second name of each sum.
    published = increase("barestream_updates_published_total") + increase("barestream_events_published_total")
    printf ", %s events/s published", per_second(published)
    printf ", %s delivered", per_second(increase("barestream_events_delivered_total"))
    printf "; lag p50 %s, p99 %s", lag(0.5), lag(0.99)
    up = later["barestream_history_up"] + later["barestream_engine_up"]
    draining = later["barestream_workers_draining"] + later["barestream_draining"]
    printf "; Valkey %s", up ? "answers" : "does NOT answer"
    if (draining) printf "; %d workers drain", draining
    print ""
}
