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

bool File::seek(int64_t offset) {
  return ::lseek(static_cast<int>(handle_), static_cast<off_t>(offset), SEEK_SET) == static_cast<off_t>(offset);
}

void File::close() {
  const auto handle = static_cast<int>(std::exchange(handle_, kNone));
  if (::close(handle) != 0) throw_disk(errno, path_);
}

void remove_file(const std::string& path) { ::unlink(path.c_str()); }

}  // namespace quire

#endif
