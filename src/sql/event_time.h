// A view's event time, spelled out as plain SQL.
//
// A stream with a WATERMARK has a hidden column _watermark: where the stream's watermark stood just
// before the row came.  With it a row is late, or not, for ever and for everybody: by the log
// alone.  Two functions say the rest:
//
//   weir_on_time(end, lateness, _watermark, 'stream')   end + lateness was not passed yet
//   weir_closed(end, lateness, 'stream')                end + lateness is passed by now
//
// lateness in microseconds.  A view with EMIT ON WINDOW CLOSE is its query over rows on time in
// windows that are closed; one WITH (allowed_lateness = ...) its query over rows on time.  So each
// has a batch query like any other view, and the rows that were late are a query, too.
//
// A window of TUMBLE, HOP, CUMULATE, date_trunc and time_bucket is late as a whole: a row by the
// ends of its windows.  Of a SESSION, and of a stream that is in no window (a joined one), a row is
// late when its own time is behind the watermark by more than the lateness: whether another row
// would join its session cannot be told sooner.
#pragma once

#include <vector>

#include "catalog/catalog.h"

namespace weir {

// Sets view.spelled_out when the view says something about event time.  Throws Error(kInvalidSql)
// when there is no window to close, or a stream in one has no watermark.
void SpellOutEventTime(View& view, const CatalogState& catalog);

// The views that keep the late rows of `view`: NAME_late, or NAME_late_STREAM for each of several
// streams.  None when the view says nothing about event time.
std::vector<View> LateViews(const View& view, const CatalogState& catalog);

}  // namespace weir
