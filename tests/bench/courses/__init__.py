"""The courses: what is measured, each in a module of its own."""

from bench.courses import burst, connects, fan_out, growth, publishing, topics

COURSES = {
    module.NAME: module.course for module in (fan_out, connects, growth, burst, topics, publishing)
}
