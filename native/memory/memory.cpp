// memory.cpp — see memory.h.
#include "native/memory/memory.h"

#include <algorithm>
#include <string>

namespace quire {
namespace {

int64_t pages_for(int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

uint64_t mix(uint64_t digest, uint16_t bits) { return (digest ^ bits) * 0x100000001b3ull; }

}  // namespace

int64_t Memory::page_bytes(const Geometry& g) {
  const int64_t keys_and_values = 2 * kPageTokens * g.head_size;
  const int64_t summary = 2 * g.head_size;
  return g.layers * g.kv_heads * (keys_and_values + summary) * 2;
}

Memory::Memory(const Geometry& geometry, int64_t pages, Summary summary, Place place)
    : geometry_(geometry), summary_(summary) {
  if (pages < 1 || pages > (int64_t{1} << 26)) throw Error("bad-option", "a memory has 1 to 67108864 pages", "pages");
  const int64_t slots = checked_round_up(pages, kSummaryGroup, "pages");
  const int64_t page_values = 2 * kPageTokens * geometry.head_size;
  const int64_t layer_pages = checked_mul(checked_mul(geometry.kv_heads, slots, "pages"), page_values, "pages");
  const int64_t layer_summaries = geometry.kv_heads * slots * 2 * geometry.head_size;
  for (std::vector<int32_t>* list : {&free_, &slots_, &counts_}) list->reserve(static_cast<size_t>(pages));
  for (int64_t slot = pages - 1; slot >= 0; --slot) free_.push_back(static_cast<int32_t>(slot));
  if (place == Place::kDevice) return;
  pages_buffer_ = AlignedBuffer(checked_mul(checked_mul(layer_pages, geometry.layers, "pages"), 2, "pages"), "pages");
  summaries_buffer_ =
      AlignedBuffer(checked_mul(checked_mul(layer_summaries, geometry.layers, "pages"), 2, "pages"), "summaries");
  for (int64_t l = 0; l < geometry.layers; ++l) {
    KvLayer layer;
    layer.pages = pages_buffer_.as<uint16_t>() + l * layer_pages;
    layer.summaries = summaries_buffer_.as<uint16_t>() + l * layer_summaries;
    layer.slots = slots;
    layer.kv_heads = geometry.kv_heads;
    layer.head_size = geometry.head_size;
    layers_.push_back(layer);
  }
}

int64_t Memory::document_pages(int64_t index) const { return pages_for(documents_[static_cast<size_t>(index)].tokens); }

void Memory::add_page(int64_t count_of_tokens) {
  slots_.push_back(free_.back());
  free_.pop_back();
  counts_.push_back(static_cast<int32_t>(count_of_tokens));
}

void ChunkPlan::clear() {
  for (std::vector<int32_t>* values : {&slots, &places, &touched_slots, &touched_counts}) values->clear();
  positions.clear();
  visible.clear();
  blocks.clear();
  begins_inside_block = false;
}

ChunkPlan Memory::plan_append(int64_t tokens, const std::vector<int32_t>& starts) {
  ChunkPlan plan;
  plan_append(tokens, starts, plan);
  return plan;
}

void Memory::plan_append(int64_t tokens, const std::vector<int32_t>& starts, ChunkPlan& plan) {
  int64_t previous = -1;
  for (const int32_t start : starts) {
    if (start <= previous || start >= tokens)
      throw Error("bad-option", "document starts must be ascending indices of the chunk's tokens", "starts");
    previous = start;
  }
  if (documents_.empty() && tokens > 0 && (starts.empty() || starts[0] != 0))
    throw Error("bad-option", "the first token of a memory begins a document", "starts");

  // How many pages the chunk needs: what continues the last document, then each new document by itself.
  int64_t needed = 0;
  const int64_t continued = starts.empty() ? tokens : starts[0];
  if (continued > 0) {
    const int64_t held = documents_.back().tokens;
    needed += pages_for(held + continued) - pages_for(held);
  }
  for (size_t i = 0; i < starts.size(); ++i)
    needed += pages_for((i + 1 < starts.size() ? starts[i + 1] : tokens) - starts[i]);
  if (needed > free_pages())
    throw Error("memory-full", "the memory has " + std::to_string(free_pages()) + " free pages, the chunk needs " +
                                   std::to_string(needed));

  plan.clear();
  size_t next_start = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    if (next_start < starts.size() && starts[next_start] == t) {
      documents_.push_back({pages(), 0, next_position()});
      ++next_start;
    }
    Document& document = documents_.back();
    const int64_t place = document.tokens % kPageTokens;
    if (place == 0)
      add_page(1);
    else
      counts_.back() = static_cast<int32_t>(place + 1);
    plan.slots.push_back(slots_.back());
    plan.places.push_back(static_cast<int32_t>(place));
    plan.positions.push_back(next_position());
    plan.visible.push_back({static_cast<int32_t>(pages() - 1), static_cast<int32_t>(place + 1)});
    if (plan.touched_slots.empty() || plan.touched_slots.back() != slots_.back()) {
      plan.touched_slots.push_back(slots_.back());
      plan.touched_counts.push_back(0);
    }
    plan.touched_counts.back() = counts_.back();
    const int64_t page = (document.tokens / kPageTokens) / kQueryPages * kQueryPages + document.first_page;
    if (plan.blocks.empty() || plan.blocks.back().first_page != page) plan.blocks.push_back({t, 0, page});
    ++plan.blocks.back().tokens;
    if (t == 0) plan.begins_inside_block = document.tokens % (kQueryPages * kPageTokens) != 0;
    ++document.tokens;
    ++tokens_;
  }
}

void Memory::add_document(int64_t tokens, int64_t position) {
  if (tokens < 1 || position < 0)
    throw Error("bad-option", "a document has tokens, at positions from 0 on", "position");
  const int64_t needed = pages_for(tokens);
  if (needed > free_pages())
    throw Error("memory-full", "the memory has " + std::to_string(free_pages()) + " free pages, the document needs " +
                                   std::to_string(needed));
  documents_.push_back({pages(), tokens, position});
  for (int64_t left = tokens; left > 0; left -= kPageTokens) add_page(std::min<int64_t>(left, kPageTokens));
  tokens_ += tokens;
}

Memory::Mark Memory::mark() const {
  return {static_cast<int64_t>(documents_.size()), documents_.empty() ? 0 : documents_.back().tokens};
}

int32_t Memory::roll_back(const Mark& mark) { return truncate(mark.documents, mark.last_document_tokens); }

int32_t Memory::truncate(int64_t documents, int64_t last_tokens) {
  if (documents < 0 || documents > static_cast<int64_t>(documents_.size()))
    throw Error("bad-option", "there are " + std::to_string(documents_.size()) + " documents", "documents");
  if (documents > 0 && (last_tokens < 0 || last_tokens > documents_[static_cast<size_t>(documents - 1)].tokens))
    throw Error("bad-option", "the document has fewer tokens", "tokens");
  while (static_cast<int64_t>(documents_.size()) > documents) {
    tokens_ -= documents_.back().tokens;
    documents_.pop_back();
  }
  int32_t shortened = -1;
  int64_t kept_pages = 0;
  if (!documents_.empty()) {
    Document& last = documents_.back();
    tokens_ -= last.tokens - last_tokens;
    kept_pages = last.first_page + pages_for(last_tokens);
    if (last_tokens < last.tokens && last_tokens % kPageTokens != 0) {
      shortened = slots_[static_cast<size_t>(kept_pages - 1)];
      counts_[static_cast<size_t>(kept_pages - 1)] = static_cast<int32_t>(last_tokens % kPageTokens);
    }
    last.tokens = last_tokens;
    if (last_tokens == 0) documents_.pop_back();
  }
  while (pages() > kept_pages) {
    free_.push_back(slots_.back());
    slots_.pop_back();
    counts_.pop_back();
  }
  return shortened;
}

void Memory::split(int64_t index, int64_t page) {
  if (index < 0 || index >= static_cast<int64_t>(documents_.size()) || page < 1 || page >= document_pages(index))
    throw Error("bad-option", "a document is split before one of its pages but the first", "split");
  Document& document = documents_[static_cast<size_t>(index)];
  const int64_t kept = page * kPageTokens;
  const Document rest{document.first_page + page, document.tokens - kept, document.position + kept};
  document.tokens = kept;
  documents_.insert(documents_.begin() + index + 1, rest);
}

Memory::Aside Memory::take(int64_t first) {
  if (first < 0 || first > static_cast<int64_t>(documents_.size()))
    throw Error("bad-option", "there are " + std::to_string(documents_.size()) + " documents", "documents");
  Aside taken;
  if (first == static_cast<int64_t>(documents_.size())) return taken;
  const auto document = documents_.begin() + first;
  const int64_t page = document->first_page;
  taken.documents.assign(document, documents_.end());
  taken.slots.assign(slots_.begin() + page, slots_.end());
  taken.counts.assign(counts_.begin() + page, counts_.end());
  documents_.erase(document, documents_.end());
  slots_.resize(static_cast<size_t>(page));
  counts_.resize(static_cast<size_t>(page));
  for (const Document& one : taken.documents) tokens_ -= one.tokens;
  return taken;
}

// The documents of `taken` from `from_document` on, at the end of the list.
void Memory::put(const Aside& taken, size_t from_document) {
  if (from_document >= taken.documents.size()) return;
  const int64_t first_page = taken.documents[from_document].first_page;
  const int64_t skipped = first_page - taken.documents.front().first_page;
  const int64_t moved = pages() - first_page;
  for (size_t i = from_document; i < taken.documents.size(); ++i) {
    Document document = taken.documents[i];
    document.first_page += moved;
    tokens_ += document.tokens;
    documents_.push_back(document);
  }
  slots_.insert(slots_.end(), taken.slots.begin() + skipped, taken.slots.end());
  counts_.insert(counts_.end(), taken.counts.begin() + skipped, taken.counts.end());
}

void Memory::set_aside(int64_t first) {
  if (!aside_.documents.empty()) throw Error("bad-option", "documents are aside already", "set_aside");
  aside_ = take(first);
}

void Memory::bring_back() {
  put(aside_, 0);
  aside_ = {};
}

void Memory::drop(int64_t first, int64_t count) {
  if (count < 0 || first < 0 || first + count > static_cast<int64_t>(documents_.size()))
    throw Error("bad-option", "there are " + std::to_string(documents_.size()) + " documents", "documents");
  const Aside taken = take(first);
  int64_t freed = 0;
  for (int64_t i = 0; i < count; ++i) freed += pages_for(taken.documents[static_cast<size_t>(i)].tokens);
  for (int64_t i = freed - 1; i >= 0; --i) free_.push_back(taken.slots[static_cast<size_t>(i)]);
  put(taken, static_cast<size_t>(count));
}

uint64_t Memory::digest() const {
  uint64_t digest = 0xcbf29ce484222325ull;
  for (const KvLayer& layer : layers_)
    for (int64_t g = 0; g < layer.kv_heads; ++g)
      for (size_t i = 0; i < slots_.size(); ++i) {
        const uint16_t* keys = layer.keys(g, slots_[i]);
        const uint16_t* values = layer.values(g, slots_[i]);
        for (int64_t j = 0; j < counts_[i]; ++j)
          for (int64_t d = 0; d < layer.head_size; ++d) {
            digest = mix(digest, keys[d * kPageTokens + j]);
            digest = mix(digest, values[j * layer.head_size + d]);
          }
        for (int64_t w = 0; w < 2; ++w)
          for (int64_t d = 0; d < layer.head_size; ++d)
            digest = mix(digest, layer.summary(g, slots_[i], w)[d * kSummaryGroup]);
      }
  return digest;
}

}  // namespace quire
