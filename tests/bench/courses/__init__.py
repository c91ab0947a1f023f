"""The courses: what is measured, each in a module of its own."""

from bench.courses import burst, fan_out, growth, publishing, streamed, tail, topics, workers

# What a first impression is of; all of them take an hour.
QUICK = (fan_out.NAME, growth.NAME, publishing.NAME)

COURSES = {
    module.NAME: module.course
    for module in (fan_out, growth, burst, topics, publishing, streamed, workers, tail)
}

# Those that two trees can be compared in.
TRIALS = {module.NAME: module.trials for module in (fan_out, burst, publishing)}
