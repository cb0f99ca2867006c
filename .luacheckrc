-- No globals of our own anywhere; rules/ must load under plain Lua 5.1, which proves its purity.
std = "luajit"
max_line_length = 140
files["rules"] = { std = "lua51" }
files["spec"] = { std = "+busted", max_line_length = false }
files["cmake"] = { globals = { "arg" } }
