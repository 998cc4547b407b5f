// memory.h — an ordered list of documents on pages of their own, with keys, values and summaries of every layer.
//
// Knows where each token lies; computes nothing. A chunk is planned (`plan_append` gives every token its place), then
// filled by the forward pass, then kept or taken back (`roll_back`), so that a cancelled chunk leaves no trace. An edit is made in
// place: `split` and `set_aside` open the list at a page, what is appended sees what lies before it alone, `bring_back` closes the list.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "native/core/aligned_buffer.h"
#include "native/kernels/ops.h"
#include "native/model/model.h"

namespace quire {

// Consecutive tokens that begin on a page of their own.
struct Document {
  int64_t first_page = 0;  // index in the memory's list
  int64_t tokens = 0;
  int64_t position = 0;  // of its first token
};

// Neighbouring tokens of a chunk that select pages together when it is read sparsely: those of kQueryPages pages of one document,
// counted from the document's first.
struct QueryBlock {
  int64_t first_token = 0;  // of the chunk
  int64_t tokens = 0;
  int64_t first_page = 0;  // index in the memory's list
};

// Where the tokens of one chunk go, and what they may see.
struct ChunkPlan {
  std::vector<int32_t> slots, places;                  // [T]
  std::vector<int64_t> positions;                      // [T]
  std::vector<Visible> visible;                        // [T]
  std::vector<int32_t> touched_slots, touched_counts;  // pages whose summaries change, with their new counts
  std::vector<QueryBlock> blocks;                      // every token is in one
  bool begins_inside_block = false;                    // the first block's first tokens came with an earlier chunk
  void clear();
};

class Memory {
 public:
  // pages: capacity, ≥ 1. Throws "out-of-memory", "bad-option". Place::kDevice: only the bookkeeping is here, a device has the
  // bytes; layer() then has no pages and digest() may not be called.
  enum class Place { kHost, kDevice };
  Memory(const Geometry& geometry, int64_t pages, Summary summary, Place place = Place::kHost);

  // Gives T tokens their places at the end. starts: ascending indices in [0, T) where a new document begins. The list grows
  // at once. Throws "memory-full" (nothing changed), "bad-option" for starts out of order or no document to continue.
  ChunkPlan plan_append(int64_t tokens, const std::vector<int32_t>& starts);
  // The same into `plan`, whose room is used again: a token loop then allocates nothing.
  void plan_append(int64_t tokens, const std::vector<int32_t>& starts, ChunkPlan& plan);

  // Takes pages for one document of `tokens` tokens at the end, the first of them at `position`; its bytes are the caller's to fill.
  // Throws "memory-full" (nothing changed), "bad-option" for no tokens or a position below 0.
  void add_document(int64_t tokens, int64_t position);

  // The state to return to. Valid until the memory is truncated below it.
  struct Mark {
    int64_t documents = 0;
    int64_t last_document_tokens = 0;
  };
  Mark mark() const;
  // Drops everything after `mark` and frees its pages. The slot whose count became smaller, or -1, is returned: its summary
  // must be computed again from the tokens it still holds.
  int32_t roll_back(const Mark& mark);
  // Keeps `documents` documents, of the last one its first `last_tokens` (0 ≤ … ≤ its tokens; 0 drops it). Same result.
  int32_t truncate(int64_t documents, int64_t last_tokens);

  // Cuts document `index` in two before its page `page` (0 < page < its pages). No byte moves, no token changes. "bad-option".
  void split(int64_t index, int64_t page);
  // Takes the documents from `first` on out of the list: what is appended meanwhile does not see them. "bad-option" while some
  // are aside already.
  void set_aside(int64_t first);
  // Puts them back at the end, with the positions that they were encoded at; nothing to do if none are aside.
  void bring_back();
  // Drops `count` documents from `first` on. Those behind them stay as they are. "bad-option".
  void drop(int64_t first, int64_t count);

  // Of the next token that is appended: it follows the last document's, whatever was edited before that.
  int64_t next_position() const {
    return documents_.empty() ? 0 : documents_.back().position + documents_.back().tokens;
  }
  PageList list() const { return {slots_.data(), counts_.data(), static_cast<int64_t>(slots_.size())}; }
  const std::vector<Document>& documents() const { return documents_; }
  int64_t document_pages(int64_t index) const;
  int64_t tokens() const { return tokens_; }
  int64_t pages() const { return static_cast<int64_t>(slots_.size()); }
  int64_t capacity() const { return pages() + free_pages(); }
  int64_t free_pages() const { return static_cast<int64_t>(free_.size()); }
  Summary summary() const { return summary_; }
  int64_t layers() const { return static_cast<int64_t>(layers_.size()); }
  const KvLayer& layer(int64_t index) const { return layers_[static_cast<size_t>(index)]; }
  // Bytes of one page's keys, values and summaries over all layers and KV heads.
  static int64_t page_bytes(const Geometry& geometry);
  // FNV-1a over the bits of all keys and values that are in use, in list order, layer by layer.
  uint64_t digest() const;

 private:
  // Documents with their pages, outside the list.
  struct Aside {
    std::vector<Document> documents;
    std::vector<int32_t> slots, counts;
  };
  void add_page(int64_t count_of_tokens);
  Aside take(int64_t first);
  void put(const Aside& taken, size_t from_document);

  Geometry geometry_;
  Summary summary_;
  AlignedBuffer pages_buffer_;
  AlignedBuffer summaries_buffer_;
  std::vector<KvLayer> layers_;
  std::vector<int32_t> free_;    // slots, the next one to use last
  std::vector<int32_t> slots_;   // the list
  std::vector<int32_t> counts_;  // [pages] tokens in use, 1..16
  std::vector<Document> documents_;
  Aside aside_;
  int64_t tokens_ = 0;
};

}  // namespace quire
