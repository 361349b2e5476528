/** The components that libp2p hands to a part, some of them replaced: libp2p gives a proxy that cannot be spread. */
export function withComponents<Components extends object>(
  components: Components,
  replaced: Partial<Components>,
): Components {
  return new Proxy(components, {
    get: (target, key) => (key in replaced ? Reflect.get(replaced, key) : Reflect.get(target, key)) as unknown,
  });
}
