#include "server/live/feed.h"

#include <algorithm>
#include <chrono>
#include <unordered_map>

#include "duck/errors.h"
#include "duck/row_codec.h"
#include "formats/json_value.h"
#include "formats/results.h"
#include "io/process/loop_thread.h"
#include "server/http_errors.h"

namespace weir {
namespace {

constexpr size_t kPendingMax = 256 << 10;  // a reader with more queued waits
constexpr size_t kMergeAbove = 4;          // more changes than this are sent as one
// A snapshot is given to others for this long, and kept while somebody takes it; all together have
// at most so many bytes.
constexpr auto kSnapshotAge = std::chrono::seconds(5);
constexpr size_t kSnapshotsBytesMax = 256 << 20;
constexpr uint64_t kSmallSnapshotRows = 2'000;
constexpr uint64_t kSnapshotRowsMax = 1'000'000;
constexpr auto kStatusInterval = std::chrono::seconds(1);
constexpr auto kHeartbeat = std::chrono::seconds(15);

std::string EventHead(const char* name, std::optional<Offset> id) {
  std::string event = std::string("event: ") + name + "\n";
  if (id) event += "id: " + std::to_string(id->value) + "\n";
  return event + "data: ";
}

std::string Event(const char* name, const std::string& data, std::optional<Offset> id) {
  return EventHead(name, id) + data + "\n\n";
}

std::string Head(const std::string& view, Offset offset, Micros as_of, bool multiplexed) {
  std::string head = "{";
  if (multiplexed) head += "\"view\":" + QuoteJson(view) + ",";
  return head + "\"offset\":" + std::to_string(offset.value) + ",\"as_of\":\"" + IsoTime(as_of) +
         "\",";
}

int Flavour(const Feed::Options& options) {
  return (options.exact ? 1 : 0) + (options.multiplexed ? 2 : 0);
}

}  // namespace

// What one round has to do.
struct Feed::Round {
  std::set<std::string> changed;
  std::vector<std::shared_ptr<Reader>> readers, woken;
  bool catalog = false;  // it has changed
  bool tick = false;     // the time of a status has come
  std::chrono::steady_clock::time_point now;
  std::set<Reader*> gone;
};

struct Feed::Reader {
  std::shared_ptr<HttpStream> stream;
  Options options;
  std::vector<std::optional<uint64_t>> sequences;  // where he stands, by view; nothing: nowhere
  std::vector<bool> told_error;
  bool woken = true;   // under the feed's mutex: has room for what is left to be served
  bool later = false;  // something is left to be served in the next round
  std::chrono::steady_clock::time_point last_sent{};
};

Feed::Feed(Views& views, std::function<std::string()> status)
    : views_(views), status_(std::move(status)) {}

Feed::~Feed() { Stop(); }

void Feed::Connect() {
  views_.OnStep([this](const EngineInfo&, const std::vector<std::string>& changed) {
    if (changed.empty()) return;
    {
      std::lock_guard lock(mutex_);
      changed_.insert(changed.begin(), changed.end());
    }
    wake_.notify_one();
  });
}

void Feed::Start() {
  thread_ = StartLoop("feed", [this] { Run(); });
}

void Feed::Stop() {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  for (auto& reader : readers_) reader->stream->Close();
  readers_.clear();
}

size_t Feed::Readers() const {
  std::lock_guard lock(mutex_);
  return readers_.size();
}

void Feed::CatalogChanged() {
  {
    std::lock_guard lock(mutex_);
    catalog_changed_ = true;
  }
  wake_.notify_one();
}

void Feed::Add(std::shared_ptr<HttpStream> stream, Options options) {
  auto reader = std::make_shared<Reader>();
  reader->stream = std::move(stream);
  reader->options = std::move(options);
  reader->sequences.resize(reader->options.views.size());
  reader->told_error.resize(reader->options.views.size());
  if (reader->options.last_event_id) {
    for (size_t i = 0; i < reader->sequences.size(); i++) {
      try {
        reader->sequences[i] =
            views_.SequenceAt(reader->options.views[i], *reader->options.last_event_id);
      } catch (...) {
        // He is told when his views are looked at.
      }
    }
  }
  std::weak_ptr<Reader> weak = reader;
  reader->stream->OnDrained([this, weak] {
    auto drained = weak.lock();
    if (!drained) return;
    {
      std::lock_guard lock(mutex_);
      drained->woken = any_woken_ = true;
    }
    wake_.notify_one();
  });
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return reader->stream->Close();
    readers_.push_back(reader);
    any_woken_ = true;
  }
  wake_.notify_one();
}

// A round that fails costs time: once a second all readers are looked at.
void Feed::Run() {
  for (;;) {
    Round round;
    if (!WaitForWork(round)) return;
    ServeAll(round);
  }
}

bool Feed::WaitForWork(Round& round) {
  std::unique_lock lock(mutex_);
  auto ready = [&] { return stopping_ || !changed_.empty() || any_woken_ || catalog_changed_; };
  if (readers_.empty()) {
    wake_.wait(lock, ready);
  } else {
    wake_.wait_until(lock, next_status_, ready);
  }
  if (stopping_) return false;
  round.readers = readers_;
  round.woken.reserve(readers_.size());
  // Nothing throws from here: what is taken is in the round.
  round.changed.swap(changed_);
  round.catalog = std::exchange(catalog_changed_, false);
  for (auto& reader : readers_) {
    if (std::exchange(reader->woken, false)) round.woken.push_back(reader);
  }
  any_woken_ = false;
  round.now = std::chrono::steady_clock::now();
  round.tick = round.now >= next_status_;
  if (round.tick) next_status_ = round.now + kStatusInterval;
  return true;
}

void Feed::ServeAll(Round& round) {
  if (round.catalog) snapshots_.clear();  // a view may be another one now
  rendered_one_ = false;
  if (!round.changed.empty() || round.tick || round.catalog) ServeFollowers(round);
  for (auto& reader : round.woken) {
    if (!Serve(*reader)) round.gone.insert(reader.get());
  }
  rendered_.clear();
  std::erase_if(snapshots_,
                [&](auto& kept) { return round.now - kept.second.made > kSnapshotAge; });
  std::lock_guard lock(mutex_);
  for (auto& reader : round.woken) {
    if (reader->later) reader->woken = any_woken_ = true;
  }
  std::erase_if(readers_, [&](auto& reader) { return round.gone.contains(reader.get()); });
}

void Feed::ServeFollowers(Round& round) {
  static const Text kBeat = std::make_shared<const std::string>(": still here\n\n");
  static const Text kCatalog = std::make_shared<const std::string>(Event("catalog", "{}", {}));
  Text status =
      round.tick ? std::make_shared<const std::string>(Event("status", status_(), {})) : nullptr;
  // Once a second all are looked at: a view that was filling may be there now.
  bool all = round.tick || round.catalog;
  auto concerns = [&](const Reader& reader) {
    return all || std::any_of(reader.options.views.begin(), reader.options.views.end(),
                              [&](auto& view) { return round.changed.contains(view); });
  };
  for (auto& reader : round.readers) {
    if (concerns(*reader) && !Serve(*reader)) round.gone.insert(reader.get());
    if (reader->options.multiplexed && reader->stream->Pending() < kPendingMax) {
      if (round.catalog) Send(*reader, {kCatalog});
      if (status) Send(*reader, {status});
    }
    if (round.tick && round.now - reader->last_sent >= kHeartbeat) Send(*reader, {kBeat});
  }
}

// An event that was written in part cannot be taken back: its reader has to come again.
void Feed::Send(Reader& reader, std::initializer_list<Text> pieces) {
  try {
    for (auto& piece : pieces) reader.stream->Write(piece);
  } catch (...) {
    reader.stream->Abort();
    throw;
  }
  reader.last_sent = std::chrono::steady_clock::now();
}

bool Feed::Serve(Reader& reader) {
  if (reader.stream->Closed()) return false;
  reader.later = false;
  for (size_t i = 0; i < reader.options.views.size(); i++) {
    if (reader.stream->Pending() >= kPendingMax) return true;  // later, when he has taken that
    auto& view = reader.options.views[i];
    try {
      reader.later |= !ServeView(reader, view, reader.sequences[i]);
      reader.told_error[i] = false;
    } catch (...) {
      if (!SayError(reader, i)) return false;
    }
  }
  return true;
}

// In a catch block.  False: the reader is served no more.
bool Feed::SayError(Reader& reader, size_t view) {
  try {
    Error error = CurrentError();
    if (error.code == ErrorCode::kUnavailable || reader.told_error[view]) return true;
    reader.sequences[view].reset();
    auto data = ErrorJson(error);
    if (reader.options.multiplexed) {
      data.insert(1, "\"view\":" + QuoteJson(reader.options.views[view]) + ",");
    }
    Send(reader, {std::make_shared<const std::string>(Event("error", data, {}))});
    reader.told_error[view] = true;
    if (reader.options.hold) reader.stream->Close();
    return !reader.options.hold;
  } catch (...) {
    reader.stream->Abort();
    return false;
  }
}

// False when what changed is not known: it is too long ago.
bool Feed::ServeChanges(Reader& reader, const std::string& view, uint64_t& sequence) {
  auto changes = views_.ChangesSince(view, sequence);
  if (!changes) return false;
  if (changes->empty()) return true;
  if (changes->size() > kMergeAbove) {
    Send(reader, {RenderMerged(view, *changes, reader.options)});
  } else {
    std::vector<Text> texts;  // all of them, before one is sent
    for (auto& change : *changes) texts.push_back(RenderChange(view, change, reader.options));
    for (auto& text : texts) Send(reader, {text});
  }
  sequence = changes->back()->sequence;
  return true;
}

bool Feed::ServeView(Reader& reader, const std::string& view, std::optional<uint64_t>& sequence) {
  if (sequence && ServeChanges(reader, view, *sequence)) return true;
  auto info = views_.Info();  // before the changes are asked for
  auto kept = SnapshotOf(view, reader.options);
  if (!kept) return !rendered_one_;
  auto changes = views_.ChangesSince(view, kept->sequence);
  bool same = kept->moves_on && changes && changes->empty() && info.offset > kept->offset;
  Offset offset = same ? info.offset : kept->offset;
  Micros as_of = same ? info.as_of : kept->as_of;
  auto head = EventHead("snapshot", offset) + Head(view, offset, as_of, reader.options.multiplexed);
  Send(reader, {std::make_shared<const std::string>(std::move(head)), kept->body});
  sequence = kept->sequence;
  // Others have the snapshot's text; that of all changes since would be this reader's own, so one
  // who has yet to take the snapshot gets them once he has.
  if (reader.stream->Pending() < kPendingMax) ServeChanges(reader, view, *sequence);
  return true;
}

bool Feed::IsIncremental(const std::string& view) const {
  for (auto& info : views_.ViewInfos()) {
    if (info.name == view) return info.rung == Rung::kIncremental;
  }
  return false;  // a query that is followed: it says where it stood
}

// One is rendered in a round: whoever waits for changes does not wait for many.
const Feed::Kept* Feed::SnapshotOf(const std::string& view, const Options& options) {
  auto key = std::make_pair(view, Flavour(options));
  if (auto kept = snapshots_.find(key); kept != snapshots_.end()) {
    if (views_.ChangesSince(view, kept->second.sequence)) return &kept->second;
  }
  std::erase_if(held_, [](auto& text) { return text.expired(); });
  size_t bytes = 0;
  for (auto& weak : held_) {
    if (auto text = weak.lock()) bytes += text->size();
  }
  if (rendered_one_ || bytes > kSnapshotsBytesMax) return nullptr;
  ReadOptions read;
  read.rows_max = kSnapshotRowsMax;
  auto snapshot = std::move(views_.Read({view}, read)[0]);
  rendered_one_ = snapshot.rows.rows > kSmallSnapshotRows;
  Kept kept;
  kept.body = std::make_shared<const std::string>(
      "\"columns\":[" + JsonColumns(snapshot.columns) +
      "],\"rows\":" + JsonRowsOf(snapshot.rows, options.exact) + "}\n\n");
  kept.sequence = snapshot.sequence;
  kept.offset = snapshot.offset;
  kept.as_of = snapshot.as_of;
  kept.moves_on = IsIncremental(view);
  kept.made = std::chrono::steady_clock::now();
  held_.push_back(kept.body);
  return &snapshots_.insert_or_assign(key, std::move(kept)).first->second;
}

Feed::Text Feed::RenderChange(const std::string& view, const ViewChangePtr& change,
                              const Options& options) {
  auto& text = rendered_[{view, change->sequence, Flavour(options)}];
  if (!text) {
    text = std::make_shared<const std::string>(
        Event("change",
              Head(view, change->offset, change->as_of, options.multiplexed) +
                  "\"added\":" + JsonRowsOf(change->added, options.exact) +
                  ",\"removed\":" + JsonRowsOf(change->removed, options.exact) + "}",
              change->offset));
  }
  return text;
}

// The net of several changes: a row that came and went in between is not mentioned.
Feed::Text Feed::RenderMerged(const std::string& view, const std::vector<ViewChangePtr>& changes,
                              const Options& options) {
  std::unordered_map<std::string, int64_t> net;
  auto collect = [&](const Columns& columns, int64_t weight) {
    for (auto& chunk : columns.chunks) {
      std::string rows;
      for (duckdb::idx_t row = 0; row < chunk->size(); row++) {
        duckdb::DataChunk one;
        one.InitializeEmpty(chunk->GetTypes());
        one.Reference(*chunk);
        duckdb::SelectionVector selection(1);
        selection.set_index(0, row);
        one.Slice(selection, 1);
        rows.clear();
        AppendJsonRows(one, options.exact, rows);
        net[rows] += weight;
      }
    }
  };
  for (auto& change : changes) {
    collect(change->added, 1);
    collect(change->removed, -1);
  }
  std::string added, removed;
  for (auto& [row, weight] : net) {
    auto& list = weight > 0 ? added : removed;
    for (int64_t copies = std::abs(weight); copies; copies--) {
      list += (list.empty() ? "" : ",") + row;
    }
  }
  auto& last = *changes.back();
  return std::make_shared<const std::string>(
      Event("change",
            Head(view, last.offset, last.as_of, options.multiplexed) + "\"added\":[" + added +
                "],\"removed\":[" + removed + "]}",
            last.offset));
}

}  // namespace weir
