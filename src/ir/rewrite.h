/* Rewriting: passes over a graph's nodes before they are planned. Each pass yields ordinary nodes, has a
 * switch, and counts what it changed, which the plan's text says. */
#ifndef TUFF_IR_REWRITE_H
#define TUFF_IR_REWRITE_H

#include "ir/graph.h"

/* Runs the passes but those of `without`, a bit per tuff_pass; what no output or variable needs goes. A
 * second run finds nothing to do: a graph may be planned several times. */
TUFF_MUST_USE tuff_status tuff_rewrite(tuff_graph *graph, uint32_t without);
const char *tuff_pass_name(tuff_pass pass);

/* The passes; `changes` is added to, by one for each place. They may leave nodes that nothing needs. */
#define TUFF_PASS(name) TUFF_MUST_USE tuff_status tuff_pass_##name(tuff_graph *graph, size_t *changes);
#include "ir/passes.def"
#undef TUFF_PASS

#endif
