// file_windows.cpp — file.h on Windows. Empty elsewhere.
#if defined(_WIN32)

#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <algorithm>
#include <utility>

#include "native/core/error.h"
#include "native/core/file.h"

namespace quire {
namespace {

[[noreturn]] void throw_disk(DWORD error, const std::string& path) {
  const bool full = error == ERROR_DISK_FULL || error == ERROR_HANDLE_DISK_FULL || error == ERROR_DISK_QUOTA_EXCEEDED;
  throw Error(full ? "disk-full" : "internal", "the file cannot be written: Windows error " + std::to_string(error),
              path);
}

// Empty, which no call accepts, where it is not UTF-8.
std::wstring wide(const std::string& text) {
  const int bytes = static_cast<int>(text.size());
  std::wstring out(
      static_cast<size_t>(MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), bytes, nullptr, 0)), L'\0');
  MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), bytes, out.data(), static_cast<int>(out.size()));
  return out;
}

HANDLE native(intptr_t handle) { return reinterpret_cast<HANDLE>(handle); }

intptr_t open_handle(const std::string& path, DWORD access, DWORD sharing, DWORD disposition) {
  // A reparse point (a link) is opened as itself, and then is no regular file.
  const DWORD flags = FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT;
  return reinterpret_cast<intptr_t>(
      CreateFileW(wide(path).c_str(), access, sharing, nullptr, disposition, flags, nullptr));
}

constexpr int64_t kLargestCall = int64_t{1} << 30;

}  // namespace

static_assert(sizeof(HANDLE) == sizeof(intptr_t), "a HANDLE fits where a descriptor does");

File::File(std::string path, intptr_t handle) : path_(std::move(path)), handle_(handle) {}

File::File(File&& other) noexcept : path_(std::move(other.path_)), handle_(std::exchange(other.handle_, kNone)) {}

File File::create(const std::string& path) {
  const intptr_t handle = open_handle(path, GENERIC_WRITE, 0, CREATE_NEW);
  if (handle == kNone) throw_disk(GetLastError(), path);
  return {path, handle};
}

// Shared with who would replace or remove it meanwhile, as POSIX systems do.
File File::open(const std::string& path) {
  return {path, open_handle(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, OPEN_EXISTING)};
}

File::~File() {
  if (is_open()) CloseHandle(native(handle_));
}

int64_t File::size() const {
  BY_HANDLE_FILE_INFORMATION found{};
  if (GetFileType(native(handle_)) != FILE_TYPE_DISK || !GetFileInformationByHandle(native(handle_), &found)) return -1;
  if ((found.dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT)) != 0) return -1;
  return static_cast<int64_t>(static_cast<uint64_t>(found.nFileSizeHigh) << 32 | found.nFileSizeLow);
}

void File::write(const void* data, int64_t bytes) {
  const auto* next = static_cast<const char*>(data);
  while (bytes > 0) {
    DWORD done = 0;
    const auto wanted = static_cast<DWORD>(std::min(bytes, kLargestCall));
    if (!WriteFile(native(handle_), next, wanted, &done, nullptr)) throw_disk(GetLastError(), path_);
    if (done == 0) throw_disk(ERROR_DISK_FULL, path_);
    next += done;
    bytes -= done;
  }
}

bool File::read(void* data, int64_t bytes) {
  auto* next = static_cast<char*>(data);
  while (bytes > 0) {
    DWORD done = 0;
    const auto wanted = static_cast<DWORD>(std::min(bytes, kLargestCall));
    if (!ReadFile(native(handle_), next, wanted, &done, nullptr) || done == 0) return false;
    next += done;
    bytes -= done;
  }
  return true;
}

bool File::seek(int64_t offset) {
  LARGE_INTEGER distance{};
  distance.QuadPart = offset;
  return SetFilePointerEx(native(handle_), distance, nullptr, FILE_BEGIN) != 0;
}

void File::close() {
  if (!CloseHandle(native(std::exchange(handle_, kNone)))) throw_disk(GetLastError(), path_);
}

void remove_file(const std::string& path) { DeleteFileW(wide(path).c_str()); }

}  // namespace quire

#endif
