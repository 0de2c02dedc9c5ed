// SUBSCRIBE: views made for those who follow a query, shared by equal queries, gone with their last
// reader.  They are in no catalog and in no checkpoint.  A query stands on what it was made from;
// when that is gone or replaced, its readers are told.
#include "duckdb/common/string_util.hpp"
#include "duckdb/parser/parser.hpp"
#include "sql/names_in.h"
#include "views/engine_impl.h"

namespace weir {

namespace {

// Equal for queries that differ in spaces, case of keywords and comments only.
std::string Normalized(const KernelSql& query) {
  duckdb::Parser parser;
  parser.ParseQuery(query.text);
  return parser.statements.at(0)->ToString();
}

// What a query reads, told apart from what may have the same names later.
void AddReads(const CatalogState& state, const KernelSql& query, std::set<std::string>& reads) {
  for (auto& name : NamesIn(query)) {
    if (auto stream = state.FindStream(name)) {
      reads.insert(name + " " + std::to_string(stream->id.value));
    } else if (auto view = state.FindView(name)) {
      bool is_new = reads.insert(name + " " + std::to_string(view->id)).second;
      if (is_new) AddReads(state, view->kernel_sql, reads);
    }
  }
}

}  // namespace

std::string EngineImpl::ReadsOf(const CatalogState& state, const KernelSql& query) {
  std::set<std::string> reads;
  AddReads(state, query, reads);
  std::string text = state.time_zone;
  for (auto& read : reads) text += "\n" + read;
  return text;
}

std::map<std::string, std::pair<KernelSql, std::string>> EngineImpl::SubscribedNow() const {
  std::map<std::string, std::pair<KernelSql, std::string>> now;
  std::shared_lock lock(views_mutex_);
  for (auto& [key, subscribed] : subscribed_) now[key] = {subscribed.query, subscribed.reads};
  return now;
}

// The one there is; `lock` stands for views_mutex_.
std::optional<Subscription> EngineImpl::FindSubscription(const std::string& key) const {
  auto found = subscribed_.find(key);
  if (found != subscribed_.end()) {
    if (auto hold = found->second.hold.lock()) return Subscription{found->second.name, hold};
  }
  if (subscribed_.size() < options_.subscriptions_max) return std::nullopt;
  throw Error(ErrorCode::kTooManyRequests,
              std::to_string(subscribed_.size()) + " queries are followed already",
              "Answers that many follow are better kept as materialized views.");
}

// Planned first, without a lock; when the catalog has changed by then, once more.
Subscription EngineImpl::Subscribe(const KernelSql& query) {
  constexpr int kTriesMax = 3;
  for (int tries = 0; tries < kTriesMax; tries++) {
    auto catalog = parts_.catalog.Current();
    Bind(*catalog, query);  // throws what is wrong with it, with its place
    std::string key = Normalized(query);
    {
      std::shared_lock lock(views_mutex_);
      if (auto there = FindSubscription(key)) return *there;
    }
    CheckRoom(ErrorCode::kLimitExceeded, "no further query can be followed");
    auto definition = std::make_shared<View>();
    // No view of the catalog has such a name.
    definition->name = "subscription/" + std::to_string(++subscription_number_);
    definition->query = query.text;
    definition->kernel_sql = query;
    auto view = MakeLiveView(*catalog, definition);
    if (view->status == ViewStatus::kParked) throw *view->error;
    Subscribed subscribed;
    subscribed.name = definition->name;
    subscribed.query = query;
    subscribed.reads = ReadsOf(*catalog, query);
    std::shared_ptr<void> hold(
        nullptr, [this, key, name = definition->name](void*) { Unsubscribe(key, name); });
    subscribed.hold = hold;
    std::optional<Subscription> other;  // somebody was faster
    {
      std::unique_lock lock(views_mutex_);
      if (installed_ && installed_->version > catalog->version) continue;
      other = FindSubscription(key);
      if (!other) {
        views_[definition->name] = view;
        subscribed_[key] = subscribed;
      }
    }
    if (other) return *other;
    {
      std::lock_guard lock(mutex_);
      to_fill_.push_back(view);
    }
    filler_wake_.notify_one();
    return {definition->name, hold};
  }
  throw Error(ErrorCode::kUnavailable, "the catalog changes all the time", "Subscribe again.");
}

void EngineImpl::Unsubscribe(const std::string& key, const std::string& name) {
  LiveViewPtr view;
  {
    std::unique_lock lock(views_mutex_);
    auto kept = views_.find(name);
    if (kept == views_.end()) return;
    view = std::move(kept->second);
    views_.erase(kept);
    auto found = subscribed_.find(key);
    if (found != subscribed_.end() && found->second.name == name) subscribed_.erase(found);
  }
  view->is_wanted = false;
  Post([this, view] { Detach(view); });
}

}  // namespace weir
