"""The courses: what is measured, each in a module of its own."""

from bench.courses import burst, connects, fan_out, growth, publishing, topics

# What a first impression is of; all of them take half an hour and more.
QUICK = (fan_out.NAME, growth.NAME)

COURSES = {
    module.NAME: module.course for module in (fan_out, connects, growth, burst, topics, publishing)
}
