// A query kept by a circuit of its own: columns in memory in, changes out, on the caller's thread.
// As the engine does it, without its log, its threads and its readers.
#pragma once

#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "duck/constant.h"
#include "duck/row_codec.h"
#include "flow/state/page_memory.h"
#include "formats/columns.h"
#include "io/memory/large_pages.h"
#include "sql/statement.h"
#include "views/content.h"
#include "views/relations.h"

namespace weir {

// Memory once had is kept: what the machine takes to hand out a page for the first time (in virtual
// machines more than all that is done with it) is not the engine's.
inline void KeepMemory() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);  // never
  mallopt(M_TOP_PAD, 64 << 20);
}

// Pages of rows are kept, too: the engine's give theirs back to the machine (io/page_file.h).
class KeptPages : public PageMemory {
 public:
  std::byte* Allocate(size_t bytes) override {
    if (auto& free = free_[bytes]; !free.empty()) {
      auto* page = free.back();
      free.pop_back();
      return page;
    }
    if (left_ < bytes) {
      left_ = std::max(bytes, kExtentBytes);
      next_ = static_cast<std::byte*>(AllocateLarge(left_));
    }
    left_ -= bytes;
    return std::exchange(next_, next_ + bytes);
  }
  void Free(std::byte* page, size_t bytes, bool) override { free_[bytes].push_back(page); }
  bool IsShort() const override { return false; }
  bool MoveToFile(std::byte*, size_t) override { return false; }

 private:
  static constexpr size_t kExtentBytes = 16 << 20;
  std::map<size_t, std::vector<std::byte*>> free_;  // by bytes
  std::byte* next_ = nullptr;
  size_t left_ = 0;
};

// The streams and materialized views of SQL files, as a catalog has them.
struct Project {
  CatalogState catalog;
  std::vector<std::pair<std::string, KernelSql>> queries;  // name and SELECT, in their order

  void Read(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    Add(text.str());
  }
  void Add(const std::string& sql) {
    for (auto& statement : ParseStatements(sql)) {
      if (auto* create = std::get_if<CreateStream>(&statement.body)) {
        create->stream.id = StreamId{static_cast<uint32_t>(catalog.streams.size() + 1)};
        catalog.streams[create->stream.name] = std::make_shared<Stream>(create->stream);
      } else if (auto* view = std::get_if<CreateView>(&statement.body)) {
        queries.emplace_back(view->view.name, view->view.kernel_sql);
      }
    }
  }
};

class KeptQuery {
 public:
  struct Options {
    bool rows_go = false;  // streams are fed rows that go, too
    bool keep_answer =
        false;  // the answer is kept, as views keep it; otherwise changes are counted
  };

  KeptQuery(Kernel& kernel, const CatalogState& catalog, const std::string& name,
            const KernelSql& query, Options options, Micros now)
      : options_(options), session_(std::make_shared<Session>(kernel, catalog.time_zone)) {
    session_->SetClock(now);
    static KeptPages pages;
    circuit_.UseMemory(&pages);
    if (options.rows_go) MakeSourcesThatRetract(catalog);
    built_ = BuildView(circuit_, catalog, session_, name, query);
    if (!built_.output) {
      std::fprintf(stderr, "%s: %s\n", name.c_str(), built_.unsupported.c_str());
      std::exit(1);
    }
    circuit_.KeepOnly({built_.output});
    counter_ = std::make_unique<Counter>(built_.output->types());
    if (!options.keep_answer) {
      for (auto& op : circuit_.operators()) {
        for (auto& edge : op->outputs) {
          if (edge.to == built_.output) edge = {counter_.get(), 0};
        }
      }
    }
    for (auto& [key, stream] : catalog.streams) {
      for (auto* source : circuit_.Sources(SourceName(stream->id))) {
        sources_.push_back({stream->id, source});
      }
    }
    wide_.resize(sources_.size());
    for (size_t i = 0; i < sources_.size(); i++) {
      wide_[i] = std::make_unique<duckdb::DataChunk>();
      wide_[i]->InitializeEmpty(DuckTypes(sources_[i].second->types()));
    }
  }

  bool Reads(StreamId stream) const {
    for (auto& [id, source] : sources_) {
      if (id == stream) return true;
    }
    return false;
  }

  // One step: SetClock, Feed for each chunk, Flush.
  void SetClock(Micros now) {
    now_ = now;
    circuit_.SetClock(now);
  }
  void Feed(StreamId stream, duckdb::DataChunk& rows, const int64_t* weights = nullptr) {
    for (size_t i = 0; i < sources_.size(); i++) {
      if (sources_[i].first != stream) continue;
      if (weights) {
        FeedWeights(*sources_[i].second, *wide_[i], rows, weights);
      } else {
        sources_[i].second->Feed(rows, offset_, now_);
      }
    }
    offset_ += rows.size();
  }
  void Flush() {
    circuit_.Flush();
    if (!options_.keep_answer) return;
    step_++;
    content_.Reclaim(step_ - 1);
    built_.output->Take([&](std::string_view row, int64_t weight) {
      content_.Change(row, weight, step_);
      changes_ += static_cast<uint64_t>(std::abs(weight));
    });
  }

  uint64_t changes() const { return options_.keep_answer ? changes_ : counter_->changes; }
  size_t StateBytes() const {
    size_t bytes = 0;
    for (auto& op : circuit_.operators()) bytes += op->StateBytes();
    return bytes;
  }
  const RowTypes& types() const { return built_.output->types(); }

  Columns Answer() const {
    RowCodec codec(types());
    Columns answer;
    content_.ForEach([&](std::string_view row, int64_t copies) {
      for (int64_t i = 0; i < copies; i++) {
        if (answer.chunks.empty() || answer.chunks.back()->size() == STANDARD_VECTOR_SIZE) {
          answer.chunks.push_back(std::make_unique<duckdb::DataChunk>());
          answer.chunks.back()->Initialize(duckdb::Allocator::DefaultAllocator(),
                                           DuckTypes(types()));
        }
        auto& chunk = *answer.chunks.back();
        codec.Decode(row, chunk, chunk.size());
        chunk.SetCardinality(chunk.size() + 1);
        answer.rows++;
      }
    });
    return answer;
  }

  // Where the time went, to stderr; and whether an operator failed.
  void Explain() const {
    for (auto& op : circuit_.operators()) {
      auto& statistics = op->statistics();
      std::fprintf(
          stderr, "%8.1f ms %10zu in %10zu out %8.1f MB  %s %s\n",
          static_cast<double>(statistics.nanos) / 1e6, static_cast<size_t>(statistics.rows_in),
          static_cast<size_t>(statistics.rows_out), static_cast<double>(op->StateBytes()) / 1e6,
          op->name().c_str(), op->detail.c_str());
    }
  }
  std::string failure() const {
    for (auto& op : circuit_.operators()) {
      if (!op->failure().empty()) return op->failure();
    }
    return "";
  }

 private:
  struct Counter : Operator {
    explicit Counter(RowTypes types) : Operator("count", std::move(types), false) {}
    void Push(size_t, duckdb::DataChunk& rows, const int64_t*) override { changes += rows.size(); }
    uint64_t changes = 0;
  };

  // The sources of a circuit are there once; operators above them see that rows go, too.
  void MakeSourcesThatRetract(const CatalogState& catalog) {
    for (auto& [key, stream] : catalog.streams) {
      BuildView(circuit_, catalog, session_, "source " + stream->name,
                KernelSql("SELECT * FROM " + stream->name));
    }
    for (auto& op : circuit_.operators()) op->SetAppendOnly(false);
  }
  void FeedWeights(SourceOperator& source, duckdb::DataChunk& wide, duckdb::DataChunk& rows,
                   const int64_t* weights) {
    for (size_t c = 0; c < rows.ColumnCount(); c++) wide.data[c].Reference(rows.data[c]);
    for (size_t c = rows.ColumnCount(); c < wide.ColumnCount(); c++) SetNull(wide.data[c]);
    wide.SetCardinality(rows.size());
    source.Receive(0, wide, weights);
  }

  Options options_;
  SessionPtr session_;
  Circuit circuit_;
  BuiltView built_;
  std::unique_ptr<Counter> counter_;
  std::vector<std::pair<StreamId, SourceOperator*>> sources_;
  std::vector<std::unique_ptr<duckdb::DataChunk>> wide_;
  ViewContent content_;
  uint64_t step_ = 0, offset_ = 1, changes_ = 0;
  Micros now_ = 0;
};

}  // namespace weir
