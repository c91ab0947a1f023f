-- Reports to every stream that updates up to a place are lost.
fn.begin()
-- A place of this millisecond may still be given.
fn.report_loss(tonumber(ARGV[1]), math.floor(fn.now_ms()) - 1)
