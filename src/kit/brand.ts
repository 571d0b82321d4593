/** Branded types: two ids of the same primitive type that the compiler will not let anyone swap. */
declare const brand: unique symbol;

export type Brand<Primitive, Name extends string> = Primitive & { readonly [brand]: Name };
