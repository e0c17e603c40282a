/* The end of a product: what is stored for a sum at `at` of c, in column n. The kernel's arguments are in `a`. */
float tuff_end(float sum, uint at, uint n)
{
    sum *= a.factor;
    return a.addend_kind == TUFF_ADDEND_NONE ? sum : sum + a.addend.v[a.addend_kind == TUFF_ADDEND_ROW ? n : at];
}
