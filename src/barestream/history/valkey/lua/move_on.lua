-- Reports to every stream that updates up to a place are lost.
fn.begin()
fn.report_loss(ARGV[1], string.format('%.0f-0', math.floor(fn.now_ms())))
