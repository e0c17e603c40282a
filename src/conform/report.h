/* Reports as text: what the formats share. */
#ifndef TUFF_CONFORM_REPORT_H
#define TUFF_CONFORM_REPORT_H

#include <tuff/conform.h>

#include "base/text.h"

/* "quick", "full", "soak" */
const char *tuff_report_level(tuff_conform_level level);
/* The command that reruns exactly this case. */
void tuff_report_command(const tuff_conform_report *report, const tuff_conform_case *c, tuff_buf *out);
/* Escapes &, <, >, " and '. */
void tuff_report_escape(tuff_buf *out, const char *text);
/* "-" for 0, "inf", else three digits. */
void tuff_report_units(tuff_buf *out, double units);

void tuff_report_html(const tuff_conform_report *const *reports, size_t n, tuff_buf *out);
void tuff_report_json(const tuff_conform_report *const *reports, size_t n, tuff_buf *out);
void tuff_report_junit(const tuff_conform_report *const *reports, size_t n, tuff_buf *out);

#endif
