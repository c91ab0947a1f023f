-- Reports to every stream that updates up to a place are lost.
fn.begin()
return fn.report_loss(tonumber(ARGV[1]))
