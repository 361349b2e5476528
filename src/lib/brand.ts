declare const brand: unique symbol;

/** A `Base` that only its constructor of the same name may make. */
export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };
