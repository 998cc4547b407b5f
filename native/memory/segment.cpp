// segment.cpp — see segment.h; the layout is docs/memory-format.md.
#include "native/memory/segment.h"

#include <algorithm>
#include <cstring>

#include "native/core/checked.h"
#include "native/core/crc32c.h"
#include "native/core/file.h"

namespace quire {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "segments hold f16 and integers as this machine stores them");

constexpr char kMagic[] = "QUIRESEG", kEnd[] = "QUIREEND";
constexpr int64_t kMagicBytes = 8;
constexpr uint32_t kFormatVersion = 2;
constexpr uint32_t kF16 = 1;         // type of keys and values
constexpr uint32_t kPageLayout = 1;  // keys [D, 16], values [16, D], summary [2, D]

// No padding: every field lies at a multiple of its size, and the sum is 128.
struct Header {
  char magic[kMagicBytes];
  uint32_t format_version;
  uint32_t abi;
  uint8_t name[32];
  int64_t file_bytes;
  int64_t tokens;
  int64_t position;
  int64_t pages;
  int64_t layers;
  int64_t kv_heads;
  int64_t head_size;
  uint32_t summary;
  uint32_t kv_type;
  uint32_t page_layout;
  uint32_t reserved[2];
  uint32_t crc;  // of the bytes before it and of the token ids
};
static_assert(sizeof(Header) == 128, "the header has no padding");
constexpr int64_t kHeaderBytes = sizeof(Header);
constexpr size_t kCheckedHeaderBytes = sizeof(Header) - sizeof(uint32_t);

// Values (f16) of one head's page in the file.
int64_t head_values(const Memory& memory) { return (2 * kPageTokens + 2) * memory.layer(0).head_size; }
int64_t page_values(const Memory& memory) {
  return checked_mul(checked_mul(memory.layers(), memory.layer(0).kv_heads, "segment"), head_values(memory), "segment");
}
int64_t pages_of(int64_t tokens) { return checked_round_up(tokens, kPageTokens, "segment") / kPageTokens; }

uint32_t header_crc(const Header& header, const std::vector<int32_t>& tokens) {
  const uint32_t crc = crc32c(0, &header, kCheckedHeaderBytes);
  return crc32c(crc, tokens.data(), tokens.size() * sizeof(int32_t));
}

// What the header of such a segment must be, to the last byte but the checksum, which its token ids belong to.
Header header_of(const Memory& memory, int64_t tokens, int64_t position, const SegmentName& name) {
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof header.magic);
  header.format_version = kFormatVersion;
  header.abi = kEngineAbi;
  std::memcpy(header.name, name.data(), name.size());
  header.tokens = tokens;
  header.position = position;
  header.pages = pages_of(header.tokens);
  header.layers = memory.layers();
  header.kv_heads = memory.layer(0).kv_heads;
  header.head_size = memory.layer(0).head_size;
  header.summary = memory.summary() == Summary::kMeanSpread ? 1 : 2;
  header.kv_type = kF16;
  header.page_layout = kPageLayout;
  const int64_t page_bytes = checked_add(checked_mul(page_values(memory), 2, "segment"), sizeof(uint32_t), "segment");
  int64_t bytes = checked_add(kHeaderBytes, checked_mul(header.tokens, sizeof(int32_t), "segment"), "segment");
  bytes = checked_add(bytes, checked_mul(header.pages, page_bytes, "segment"), "segment");
  header.file_bytes = checked_add(bytes, kMagicBytes, "segment");
  return header;
}

// Bound to its place: the same bytes as another page of this or another segment do not check.
uint32_t page_crc(const SegmentName& name, int64_t page, const std::vector<uint16_t>& values) {
  uint32_t crc = crc32c(0, name.data(), name.size());
  crc = crc32c(crc, &page, sizeof page);
  return crc32c(crc, values.data(), values.size() * sizeof(uint16_t));
}

// Copies a page of all layers and heads; places that are not in use become zero, so that no old text gets into a file.
void gather_page(const Memory& memory, int32_t slot, int32_t count, std::vector<uint16_t>& out) {
  uint16_t* next = out.data();
  for (int64_t l = 0; l < memory.layers(); ++l) {
    const KvLayer& layer = memory.layer(l);
    const int64_t size = layer.head_size;
    for (int64_t g = 0; g < layer.kv_heads; ++g) {
      std::memcpy(next, layer.keys(g, slot), static_cast<size_t>(2 * kPageTokens * size) * sizeof(uint16_t));
      if (count < kPageTokens) {
        for (int64_t d = 0; d < size; ++d) std::fill(next + d * kPageTokens + count, next + (d + 1) * kPageTokens, 0);
        std::fill(next + (kPageTokens + count) * size, next + 2 * kPageTokens * size, 0);
      }
      next += 2 * kPageTokens * size;
      for (int64_t w = 0; w < 2; ++w)
        for (int64_t d = 0; d < size; ++d) *next++ = layer.summary(g, slot, w)[d * kSummaryGroup];
    }
  }
}

void scatter_page(const Memory& memory, int32_t slot, const std::vector<uint16_t>& in) {
  const uint16_t* next = in.data();
  for (int64_t l = 0; l < memory.layers(); ++l) {
    const KvLayer& layer = memory.layer(l);
    const int64_t size = layer.head_size;
    for (int64_t g = 0; g < layer.kv_heads; ++g) {
      std::memcpy(layer.keys(g, slot), next, static_cast<size_t>(2 * kPageTokens * size) * sizeof(uint16_t));
      next += 2 * kPageTokens * size;
      for (int64_t w = 0; w < 2; ++w)
        for (int64_t d = 0; d < size; ++d) layer.summary(g, slot, w)[d * kSummaryGroup] = *next++;
    }
  }
}

void throw_if_cancelled(const std::atomic<bool>& cancel) {
  if (cancel.load(std::memory_order_relaxed)) throw Error("cancelled", "the engine was asked to stop");
}

void write_segment(File& out, const Memory& memory, int64_t index, const std::vector<int32_t>& tokens,
                   const SegmentName& name, const Header& header, const std::atomic<bool>& cancel) {
  const int64_t first = memory.documents()[static_cast<size_t>(index)].first_page;
  const PageList list = memory.list();
  out.write(&header, kHeaderBytes);
  out.write(tokens.data(), header.tokens * static_cast<int64_t>(sizeof(int32_t)));
  std::vector<uint16_t> page(static_cast<size_t>(page_values(memory)));
  for (int64_t i = 0; i < header.pages; ++i) {
    throw_if_cancelled(cancel);
    gather_page(memory, list.slot[first + i], list.count[first + i], page);
    const uint32_t crc = page_crc(name, i, page);
    out.write(page.data(), static_cast<int64_t>(page.size() * sizeof(uint16_t)));
    out.write(&crc, sizeof crc);
  }
  out.write(kEnd, kMagicBytes);
}

// What a header that is not the wanted one differs in; the first difference that a user would understand.
std::string difference(const Header& found, const Header& wanted) {
  if (std::memcmp(found.magic, wanted.magic, sizeof found.magic) != 0) return "it is no segment";
  if (found.format_version != wanted.format_version) return "another format version";
  if (found.abi != wanted.abi) return "another version of the engine";
  if (std::memcmp(found.name, wanted.name, sizeof found.name) != 0) return "another name inside";
  if (found.layers != wanted.layers || found.kv_heads != wanted.kv_heads || found.head_size != wanted.head_size ||
      found.summary != wanted.summary || found.kv_type != wanted.kv_type || found.page_layout != wanted.page_layout)
    return "another model's geometry";
  if (found.tokens != wanted.tokens || found.pages != wanted.pages || found.file_bytes != wanted.file_bytes)
    return "other sizes";
  if (found.position != wanted.position) return "another position";
  return "a reserved field is set";
}

}  // namespace

SegmentName segment_name(const std::string& hex) {
  SegmentName name{};
  const auto digit = [&](char c) -> uint8_t {
    if (c >= '0' && c <= '9') return static_cast<uint8_t>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<uint8_t>(c - 'a' + 10);
    throw Error("bad-option", "a segment's name is 64 hex digits", "name");
  };
  if (hex.size() != 2 * name.size()) throw Error("bad-option", "a segment's name is 64 hex digits", "name");
  for (size_t i = 0; i < name.size(); ++i)
    name[i] = static_cast<uint8_t>(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
  return name;
}

int64_t save_segment(const Memory& memory, int64_t index, const std::vector<int32_t>& tokens, const SegmentName& name,
                     const std::string& file, const std::atomic<bool>& cancel) {
  if (index < 0 || index >= static_cast<int64_t>(memory.documents().size()))
    throw Error("bad-option", "there is no such document", "index");
  const Document& document = memory.documents()[static_cast<size_t>(index)];
  if (document.tokens != static_cast<int64_t>(tokens.size()))
    throw Error("bad-option", "the document has another number of tokens", "tokens");
  Header header = header_of(memory, document.tokens, document.position, name);
  header.crc = header_crc(header, tokens);
  remove_file(file);  // of an earlier process with this number
  File out = File::create(file);
  try {
    write_segment(out, memory, index, tokens, name, header, cancel);
    out.close();
  } catch (...) {
    remove_file(file);
    throw;
  }
  return header.file_bytes;
}

LoadOutcome load_segment(Memory& memory, const std::vector<int32_t>& tokens, const SegmentPart& part,
                         const SegmentName& name, const std::string& file, const std::atomic<bool>& cancel) {
  const auto count = static_cast<int64_t>(tokens.size());
  const int64_t skipped = checked_mul(part.first_page, kPageTokens, "segment");  // tokens before the part
  const int64_t until = checked_add(skipped, count, "segment");
  if (count == 0 || part.first_page < 0 || part.position < skipped || until > part.segment_tokens ||
      (until < part.segment_tokens && count % kPageTokens != 0))
    throw Error("bad-option", "a part is pages of a segment, to its end or to the end of one of them", "part");
  File in = File::open(file);
  if (!in.is_open()) return {};
  const auto refuse = [](const std::string& reason) { return LoadOutcome{LoadOutcome::kRefused, reason}; };
  const int64_t size = in.size();
  if (size < 0) return refuse("it is not a regular file");

  // Nothing is sized by what the file says: the wanted header is computed, and the file must begin with it and have its size.
  const Header wanted = header_of(memory, part.segment_tokens, part.position - skipped, name);
  Header found{};
  if (!in.read(&found, kHeaderBytes)) return refuse("it is cut off");
  if (std::memcmp(&found, &wanted, kCheckedHeaderBytes) != 0) return refuse(difference(found, wanted));
  if (size != wanted.file_bytes) return refuse("its size is wrong");
  std::vector<int32_t> ids(static_cast<size_t>(wanted.tokens));
  if (!in.read(ids.data(), wanted.tokens * static_cast<int64_t>(sizeof(int32_t)))) return refuse("it is cut off");
  if (found.crc != header_crc(found, ids)) return refuse("the header does not check");
  if (!std::equal(tokens.begin(), tokens.end(), ids.begin() + skipped)) return refuse("other token ids");
  char end[kMagicBytes];
  if (!in.seek(size - kMagicBytes) || !in.read(end, kMagicBytes) || std::memcmp(end, kEnd, kMagicBytes) != 0)
    return refuse("its end is missing");

  std::vector<uint16_t> page(static_cast<size_t>(page_values(memory)));
  const auto page_bytes = static_cast<int64_t>(page.size() * sizeof(uint16_t));
  const int64_t begin = kHeaderBytes + wanted.tokens * static_cast<int64_t>(sizeof(int32_t));
  if (!in.seek(begin + part.first_page * (page_bytes + static_cast<int64_t>(sizeof(uint32_t)))))
    return refuse("it is cut off");
  const Memory::Mark before = memory.mark();
  const int64_t first = memory.pages();
  memory.add_document(count, part.position);
  try {
    const PageList list = memory.list();
    for (int64_t i = 0; i < pages_of(count); ++i) {
      throw_if_cancelled(cancel);
      uint32_t crc = 0;
      if (!in.read(page.data(), page_bytes) || !in.read(&crc, sizeof crc)) {
        memory.roll_back(before);
        return refuse("it is cut off");
      }
      if (crc != page_crc(name, part.first_page + i, page)) {
        memory.roll_back(before);
        return refuse("page " + std::to_string(part.first_page + i) + " does not check");
      }
      scatter_page(memory, list.slot[first + i], page);
    }
  } catch (...) {
    memory.roll_back(before);
    throw;
  }
  return {LoadOutcome::kLoaded, ""};
}

}  // namespace quire
