// The clocks of a time zone: how far they are ahead of UTC, and since when.
//
// What DuckDB's calendar says of a zone, as a table that is learnt once a zone and process, some
// ten milliseconds.  It knows the years 1900 to 2099; before and after, clocks stand as at their
// ends. Immutable; any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"

namespace duckdb {
class ClientContext;
}

namespace weir {

class Zone {
 public:
  // The zone of a context's TimeZone, or one by its name.  The context is used during the call
  // only; a transaction must be open.
  static std::shared_ptr<const Zone> Of(duckdb::ClientContext& context);
  static std::shared_ptr<const Zone> Named(duckdb::ClientContext& context, const std::string& name);

  static bool Knows(Micros instant) { return instant >= kFirst && instant < kEnd; }
  static constexpr Micros kFirst = -2'208'988'800'000'000;  // 1900-01-01
  static constexpr Micros kEnd = 4'102'444'800'000'000;     // 2100-01-01

  // Local times are counted as if they were UTC.
  Micros OffsetAt(Micros instant) const { return At(instant).offset; }
  Micros LocalAt(Micros instant) const { return instant + OffsetAt(instant); }
  // The first instant at which clocks show `local` or later: of a time that comes twice the first,
  // of one that never comes when clocks were put forward over it.
  Micros InstantOf(Micros local) const;

  // The greatest less the least offset from `since` on: by so much two local times may differ from
  // their instants.
  Micros Spread(Micros since) const;
  // Whether all clocks are set by whole hours from `since` on.
  bool IsSetByHours(Micros since) const;

 private:
  struct Piece {
    Micros from, offset;
  };
  Zone() = default;
  const Piece& At(Micros instant) const;
  static std::shared_ptr<const Zone> Learn(duckdb::ClientContext& context, const std::string& name);

  std::vector<Piece> pieces_;  // by time; the first stands for all before it, too
};

}  // namespace weir
