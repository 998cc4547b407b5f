// file_posix.cpp — file.h on Linux and macOS. Empty on Windows.
#if !defined(_WIN32)

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "native/core/error.h"
#include "native/core/file.h"

namespace quire {
namespace {

[[noreturn]] void throw_disk(int error, const std::string& path) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  throw Error(full ? "disk-full" : "internal", std::string("the file cannot be written: ") + std::strerror(error),
              path);
}

}  // namespace

File::File(std::string path, intptr_t handle) : path_(std::move(path)), handle_(handle) {}

File::File(File&& other) noexcept : path_(std::move(other.path_)), handle_(std::exchange(other.handle_, kNone)) {}

File File::create(const std::string& path) {
  const int handle = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (handle < 0) throw_disk(errno, path);
  return {path, handle};
}

// Without O_NONBLOCK a FIFO of that name would wait for a writer.
File File::open(const std::string& path) {
  return {path, ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
}

File::~File() {
  if (is_open()) ::close(static_cast<int>(handle_));
}

int64_t File::size() const {
  struct stat status{};
  if (::fstat(static_cast<int>(handle_), &status) != 0 || !S_ISREG(status.st_mode)) return -1;
  return status.st_size;
}

void File::write(const void* data, int64_t bytes) {
  const auto* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t done = ::write(static_cast<int>(handle_), next, static_cast<size_t>(bytes));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) throw_disk(done < 0 ? errno : ENOSPC, path_);
    next += done;
    bytes -= done;
  }
}

bool File::read(void* data, int64_t bytes) {
  auto* next = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t done = ::read(static_cast<int>(handle_), next, static_cast<size_t>(bytes));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    next += done;
    bytes -= done;
  }
  return true;
}

void File::flush() {
  if (::fsync(static_cast<int>(handle_)) != 0) throw_disk(errno, path_);
}

void File::close() {
  const auto handle = static_cast<int>(std::exchange(handle_, kNone));
  if (::close(handle) != 0) throw_disk(errno, path_);
}

void replace_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw_disk(errno, to);
}

void remove_file(const std::string& path) { ::unlink(path.c_str()); }

void flush_name_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int handle = ::open(folder.c_str(), O_RDONLY | O_CLOEXEC);
  // Some systems cannot flush a folder; the rename is then only as lasting as they make it, which costs a cold read.
  if (handle < 0) return;
  ::fsync(handle);
  ::close(handle);
}

std::string process_number() { return std::to_string(::getpid()); }

}  // namespace quire

#endif
