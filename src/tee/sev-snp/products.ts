import type { SevSnpReport } from './report.ts';

/** Lines of EPYC processors that have a root of their own. */
export const PRODUCTS = ['milan', 'genoa', 'turin'] as const;

export type Product = (typeof PRODUCTS)[number];

/**
 * CPUID family and models (AMD 57230, revision 0.51, section 1.5). Bergamo and Siena have Genoa's root.
 * Undefined for a processor that is not known here.
 */
export function findProductOfCpu(cpu: NonNullable<SevSnpReport['cpu']>): Product | undefined {
  const { family, model } = cpu;
  if (family === 0x19 && model <= 0x0f) return 'milan';
  if (family === 0x19 && ((model >= 0x10 && model <= 0x1f) || (model >= 0xa0 && model <= 0xaf))) return 'genoa';
  if (family === 0x1a && model <= 0x11) return 'turin';
  return undefined;
}

/** Of a certificate's product name, such as `Milan-B0` or `Turin`. */
export function findProductOfName(name: string): Product | undefined {
  const [line = ''] = name.split('-');
  return PRODUCTS.find((product) => product === line.toLowerCase());
}

/** As AMD's key distribution service writes it. */
export function nameProduct(product: Product): string {
  return `${product.charAt(0).toUpperCase()}${product.slice(1)}`;
}
