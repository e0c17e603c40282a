/* Reports as text: what the formats share. */
#ifndef TUFF_CONFORM_REPORT_H
#define TUFF_CONFORM_REPORT_H

#include <tuff/conform.h>

#include "base/text.h"

/* "quick", "full", "soak" */
const char *tuff_report_level(tuff_conform_level level);
/* "passed", "failed", "not run", "interrupted" */
const char *tuff_report_verdict(tuff_conform_verdict verdict);
/* "discrete", "cpu", ... */
const char *tuff_report_device_type(tuff_device_type type);
/* The device's name, or a word where none was opened. */
const char *tuff_report_device(const tuff_conform_report *report);
/* The verdict and its reason: "FAILED: 3 of 322 cases". */
void tuff_report_headline(const tuff_conform_report *report, tuff_buf *out);
/* The command that reruns exactly this case, with what the environment had that may matter. */
void tuff_report_command(const tuff_conform_report *report, const tuff_conform_case *c, tuff_buf *out);
/* What is told of a case that failed, a line each: what was found, who is to blame, where it was dumped;
 * lines begin with `indent`. */
void tuff_report_failure(const tuff_conform_case *c, const char *indent, tuff_buf *out);
/* "held", "FAILED", "failed as expected", "HELD, not as expected" */
const char *tuff_report_outcome(const tuff_conform_case *c);
/* "matmul/rows in 18 cases, fill/plain in 1 case": the kernels at fault; nothing where none is. */
void tuff_report_faults(const tuff_conform_report *report, tuff_buf *out);
/* As tuff_html_escape, which is right for XML, too. */
void tuff_report_escape(tuff_buf *out, const char *text);
/* "-" for 0, "inf", else three digits. */
void tuff_report_units(tuff_buf *out, double units);

/* Whether this run was asked for a case of an older one. */
bool tuff_report_asked(const tuff_conform_report *now, const tuff_conform_case *old);
/* Whether a case held in an older run, was asked for and is none of this one. */
bool tuff_report_lost(const tuff_conform_report *now, const tuff_conform_case *old);

/* `older`: what each is compared with, or NULL; of none where it is NULL itself. */
void tuff_report_html(const tuff_conform_report *const *reports, const tuff_conform_report *const *older,
                      size_t n, tuff_buf *out);
void tuff_report_junit(const tuff_conform_report *const *reports, const tuff_conform_report *const *older,
                       size_t n, tuff_buf *out);
/* What tuff_conform_compare says, escaped, between two texts. */
void tuff_report_comparison(const tuff_conform_report *older, const tuff_conform_report *report,
                            const char *before, const char *after, tuff_buf *out);

#endif
