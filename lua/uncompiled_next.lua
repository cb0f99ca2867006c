-- moongate.uncompiled_next: `next` and `pairs` that are never compiled.
--
-- The compiler of the LuaJIT that Debian 12 has (2.1.0~beta3+git20220320) compiles an iteration step into a call with two
-- results, a pointer and an index, and where it has to swap their registers it swaps 32 bits: the upper half of the pointer
-- is lost, and the process reads a stray address and dies. Whether it swaps depends on the code around, so no loop
-- is safe; these functions keep every loop over `pairs` and every `next` in the interpreter. core/script/vm.c loads this
-- first into every state, the specs' helper into theirs. On the path of a request nothing iterates.

local following = next

local function step(t, key) return following(t, key) end

local function every(t) return step, t, nil end

jit.off(step)
jit.off(every)

-- luacheck: push globals next pairs
next, pairs = step, every
-- luacheck: pop

return {}
