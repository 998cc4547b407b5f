// file.h — files as the memory on disk needs them, the same on POSIX systems and Windows.
//
// Paths are UTF-8. Writing throws Error "disk-full" or "internal"; reading says false, and the reader decides. Links are not
// followed, and what is not a regular file (a FIFO, a device) is neither opened for long nor waited for.
#pragma once

#include <cstdint>
#include <string>

namespace quire {

class File {
 public:
  // A file that was not there, readable by its user alone. Throws when it is there or cannot be made.
  static File create(const std::string& path);
  // An existing file to read from its beginning; look at is_open().
  static File open(const std::string& path);

  ~File();
  File(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool is_open() const { return handle_ != kNone; }
  // Bytes of a regular file; -1 for anything else.
  int64_t size() const;
  void write(const void* data, int64_t bytes);
  // False at the end of the file and on a failure.
  bool read(void* data, int64_t bytes);
  // The next read begins so many bytes behind the file's beginning. False on a failure.
  bool seek(int64_t offset);
  // A network disk may report only here that it is full.
  void close();

 private:
  static constexpr intptr_t kNone = -1;
  File(std::string path, intptr_t handle);
  std::string path_;
  intptr_t handle_;  // a descriptor, or a HANDLE
};

// Nothing happens where it is not there.
void remove_file(const std::string& path);

}  // namespace quire
