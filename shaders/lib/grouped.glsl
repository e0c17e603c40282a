/* Where a grouped product finds its rows. Needs the arguments `order` and `groups`. */

/* The place at position p of the order; places of no group are stored as -1 - place. */
uint tuff_place_at(uint p)
{
    int place = a.order.v[a.groups + 1 + p];
    return uint(place ^ (place >> 31));
}

uint tuff_group_begin(uint e)
{
    return uint(a.order.v[e]);
}

/* Of `places` in all. */
uint tuff_group_end(uint e, uint places)
{
    return e < a.groups ? uint(a.order.v[e + 1]) : places;
}

/* Group e has the slots from starts[e] / height + step * e on: the last one that begins at `slot` or before. */
uint tuff_group_at(uint slot, uint height, uint step)
{
    uint low = 0, high = a.groups;
    while (low < high) {
        uint middle = (low + high + 1) / 2;
        if (tuff_group_begin(middle) / height + step * middle <= slot)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}
