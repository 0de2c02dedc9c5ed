// The dashboard's feed: changes of views as Server-Sent Events.
//
// Each change is rendered to JSON once and the text shared by all who read the view.  So is a
// snapshot: readers who come soon after one another get the same, and the changes since.  A reader
// who is slow is left alone until what was queued for him is gone; then he gets what he missed in
// one event, or a new snapshot when that is too long ago: he never costs memory without bound.
// Thread-safe.  Owned by Server.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/ranked_mutex.h"
#include "io/clock.h"
#include "io/net/http_server.h"
#include "views/views.h"

namespace weir {

class Feed {
 public:
  struct Options {
    std::vector<std::string> views;
    bool exact = false;
    bool multiplexed = false;             // events name their view; status and catalog events
    std::optional<Offset> last_event_id;  // resumes there when still known
    std::shared_ptr<void> hold;           // of a subscription: an error ends it
  };

  // `status` gives the data of a status event.
  Feed(Views& views, std::function<std::string()> status);
  ~Feed();
  // Registers with Views; call once, before Views starts.
  void Connect();
  void Start();
  void Stop();

  void Add(std::shared_ptr<HttpStream> stream, Options options);
  void CatalogChanged();
  size_t Readers() const;

 private:
  struct Reader;
  struct Round;
  using Text = std::shared_ptr<const std::string>;
  struct Kept {  // a snapshot for those who come next
    Text body;   // without what says where it stands
    uint64_t sequence = 0;
    Offset offset;
    Micros as_of = 0;
    bool moves_on = false;  // without a change it stands where the engine does
    std::chrono::steady_clock::time_point made;
  };

  void Run();
  // False when the feed stops.
  bool WaitForWork(Round& round);
  void ServeAll(Round& round);
  // Those whose views changed, and from time to time all.
  void ServeFollowers(Round& round);
  // Sends what is new to a reader; false when he has gone.
  bool Serve(Reader& reader);
  bool SayError(Reader& reader, size_t view);
  void Send(Reader& reader, std::initializer_list<Text> pieces);
  // False when something is left for the next round.
  bool ServeView(Reader& reader, const std::string& view, std::optional<uint64_t>& sequence);
  bool ServeChanges(Reader& reader, const std::string& view, uint64_t& sequence);
  // Null: not in this round, or not before slow readers have taken theirs.
  const Kept* SnapshotOf(const std::string& view, const Options& options);
  bool IsIncremental(const std::string& view) const;
  Text RenderChange(const std::string& view, const ViewChangePtr& change, const Options& options);
  Text RenderMerged(const std::string& view, const std::vector<ViewChangePtr>& changes,
                    const Options& options);

  Views& views_;
  std::function<std::string()> status_;

  mutable Ranked<std::mutex> mutex_{LockRank::kFeed};
  std::condition_variable_any wake_;
  std::vector<std::shared_ptr<Reader>> readers_;
  std::set<std::string> changed_;
  bool catalog_changed_ = false, any_woken_ = false, stopping_ = false;
  // Rendered changes of the present round, by view, sequence and flavour.
  std::map<std::tuple<std::string, uint64_t, int>, Text> rendered_;
  // Of the feed's thread: snapshots by view and flavour, all that somebody still holds, and whether
  // one was rendered in the present round.
  std::map<std::pair<std::string, int>, Kept> snapshots_;
  std::vector<std::weak_ptr<const std::string>> held_;
  bool rendered_one_ = false;
  std::chrono::steady_clock::time_point next_status_ = std::chrono::steady_clock::now();
  std::thread thread_;
};

}  // namespace weir
