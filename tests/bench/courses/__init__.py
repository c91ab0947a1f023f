"""The courses: what is measured, each in a module of its own."""

from bench.courses import (
    burst,
    confirmed,
    fan_out,
    growth,
    publishing,
    streamed,
    tail,
    topics,
    workers,
)

# What a first impression is of; all of them take an hour.
QUICK = (fan_out.NAME, growth.NAME, publishing.NAME)

_ALL = (fan_out, growth, burst, topics, publishing, confirmed, streamed, workers, tail)

COURSES = {module.NAME: module.course for module in _ALL}

# Those that two trees can be compared in.
TRIALS = {module.NAME: module.trials for module in (fan_out, burst, publishing)}
