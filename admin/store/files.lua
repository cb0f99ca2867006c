--- moongate.admin.store.files — the few things about files that Lua cannot say: modes, directories, the creation mask.
--
-- Called by store/sqlite.lua before a database is opened, because SQLite makes its files with the process's mask and
-- asks nobody. Linux through LuaJIT's FFI; statx, since its layout is the same on every processor. Never reads file
-- contents.

local ffi = require "ffi"

-- Structures can be declared once in a process, modules can be loaded again.
if not pcall(ffi.typeof, "struct moon_store_statx") then ffi.cdef [[
struct moon_store_statx {
  uint32_t mask; uint32_t blksize; uint64_t attributes; uint32_t nlink; uint32_t uid; uint32_t gid; uint16_t mode;
  uint16_t spare; uint8_t rest[224];
};
int statx(int dirfd, const char *path, int flags, unsigned int mask, struct moon_store_statx *buf);
int mkdir(const char *path, unsigned int mode);
int open(const char *path, int flags, ...);
int close(int fd);
unsigned int umask(unsigned int mask);
char *strerror(int number);
]] end

local C = ffi.C
local AT_FDCWD, STATX_TYPE_MODE = -100, 3
local O_RDWR, O_CREAT, O_EXCL, O_CLOEXEC = 2, 0x40, 0x80, 0x80000
local ENOENT, EEXIST = 2, 17
local KIND = { [4] = "directory", [8] = "file" }

local M = {}

local function reason()
  return ffi.string(C.strerror(ffi.errno()))
end

---@param path string
---@return { kind: string, mode: integer }|nil
---@return string|nil reason nil with a nil first result when there is nothing at `path`
local function look(path)
  local buf = ffi.new("struct moon_store_statx")
  if C.statx(AT_FDCWD, path, 0, STATX_TYPE_MODE, buf) ~= 0 then
    if ffi.errno() == ENOENT then return nil, nil end
    return nil, reason()
  end
  local mode = tonumber(buf.mode)
  return { kind = KIND[math.floor(mode / 4096)] or "something else", mode = mode % 512 }
end

--- Makes sure that a directory is there which nobody else can write to. Makes it with mode 0700 (not its parents).
---@param path string
---@return true|nil
---@return string|nil reason
function M.private_directory(path)
  local found, err = look(path)
  if err then return nil, "the directory cannot be looked at: " .. err end
  if not found then
    if C.mkdir(path, 448) == 0 then return true end -- 0700
    return nil, "the directory cannot be made: " .. reason()
  end
  if found.kind ~= "directory" then return nil, "this is not a directory" end
  local group, others = math.floor(found.mode / 8) % 8, found.mode % 8
  if math.floor(group / 2) % 2 == 1 or math.floor(others / 2) % 2 == 1 then
    return nil, ("other users can write to this directory (mode %03o); run chmod 700 on it"):format(found.mode)
  end
  return true
end

--- Makes sure that a file is there which only its owner can read. Makes it empty, with mode 0600.
---@param path string
---@return true|nil
---@return string|nil reason
function M.private_file(path)
  local fd = C.open(path, O_RDWR + O_CREAT + O_EXCL + O_CLOEXEC, ffi.cast("unsigned int", 384)) -- 0600
  if fd >= 0 then
    C.close(fd)
    return true
  end
  if ffi.errno() ~= EEXIST then return nil, "the file cannot be made: " .. reason() end
  local found, err = look(path)
  if not found then return nil, "the file cannot be looked at: " .. (err or "it vanished") end
  if found.kind ~= "file" then return nil, "this is not a regular file" end
  if found.mode % 64 ~= 0 then
    return nil, ("other users can read this file (mode %03o); run chmod 600 on it"):format(found.mode)
  end
  return true
end

--- Runs `work` while new files are born readable by their owner only. The mask belongs to the whole process: call it at
--- start, before other threads make files.
---@generic T
---@param work fun(): T
---@return T
function M.with_private_mask(work)
  local before = C.umask(63) -- 0077
  local ok, result, second = pcall(work)
  C.umask(before)
  if not ok then error(result, 0) end
  return result, second
end

return M
