/* The key of a place: its group of n, or n where it is in none. */
uint tuff_group_key(int group, uint n)
{
    return min(uint(group), n); /* negative ones are large */
}

/* What stands for place i: places of no group come last, as -1 - i. */
int tuff_group_row(uint i, uint key, uint n)
{
    return key < n ? int(i) : -1 - int(i);
}
