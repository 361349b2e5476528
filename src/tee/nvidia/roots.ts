import { InternalError } from '../../lib/errors.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { decodeBase64 } from '../x509/pem.ts';

/** CN=NVIDIA Device Identity CA, O=NVIDIA: of every device chain. SHA-256 of its DER:
 * 102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48 */
const DEVICE_ROOT =
  'MIICCzCCAZCgAwIBAgIQLTZwscoQBBHB/sDoKgZbVDAKBggqhkjOPQQDAzA1MSIwIAYDVQQDDBlOVklESUEgRGV2aWNlIElkZW50aXR5IENBMQ' +
  '8wDQYDVQQKDAZOVklESUEwIBcNMjExMTA1MDAwMDAwWhgPOTk5OTEyMzEyMzU5NTlaMDUxIjAgBgNVBAMMGU5WSURJQSBEZXZpY2UgSWRlbnRp' +
  'dHkgQ0ExDzANBgNVBAoMBk5WSURJQTB2MBAGByqGSM49AgEGBSuBBAAiA2IABA5MFKM7+KViZljbQSlgfky/RRnEQScW9NDZF8SXgAW96r6u/V' +
  'e8ZggtcYpPi2BS4VFu6KfEIrhN6FcHG7WP05W+oM+hxj7nyA1r1jkB2Ry70YfThX3Ba1zOryOP+MJ9vaNjMGEwDwYDVR0TAQH/BAUwAwEB/zAO' +
  'BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFFeF/4PyY8xlfWi3Olv0jUrL+0lfMB8GA1UdIwQYMBaAFFeF/4PyY8xlfWi3Olv0jUrL+0lfMAoGCC' +
  'qGSM49BAMDA2kAMGYCMQCPeFM3TASsKQVaT+8S0sO9u97PVGCpE9d/I42IT7k3UUOLSR/qvJynVOD1vQKVXf0CMQC+EY55WYoDBvs2wPAH1Gw4' +
  'LbcwUN8QCff8bFmV4ZxjCRr4WXTLFHBKjbfneGSBWwA=';

/** CN=NVIDIA CoRIM signing Root CA, O=NVIDIA, C=US: of the signers of reference manifests. SHA-256 of its DER:
 * 12977b5115acb0381179279fffeb5a8c4d264971ebb32298023a465fa41df5d1 */
const RIM_ROOT =
  'MIICKTCCAbCgAwIBAgIQRdrjoA5QN73fh1N17LXicDAKBggqhkjOPQQDAzBFMQswCQYDVQQGEwJVUzEPMA0GA1UECgwGTlZJRElBMSUwIwYDVQ' +
  'QDDBxOVklESUEgQ29SSU0gc2lnbmluZyBSb290IENBMCAXDTIzMDMxNjE1MzczNFoYDzIwNTMwMzA4MTUzNzM0WjBFMQswCQYDVQQGEwJVUzEP' +
  'MA0GA1UECgwGTlZJRElBMSUwIwYDVQQDDBxOVklESUEgQ29SSU0gc2lnbmluZyBSb290IENBMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEuECyi9' +
  'vNM+Iw2lfUzyBldHAwaC1HF7TCgp12QcEyUTm3Tagxwr48d55+K2VIlWYIDk7NlAIQdcV/Ff7euGLI+Qauj93HsSI4WX298PpW54RTgz9tC+Q6' +
  '84caR/BXWEeZo2MwYTAdBgNVHQ4EFgQUpaXrOPK4ZDAk08DBskn594zeZjAwHwYDVR0jBBgwFoAUpaXrOPK4ZDAk08DBskn594zeZjAwDwYDVR' +
  '0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwMDZwAwZAIwHGDyscDP6ihHqRvZlI3eqZ4YkvjE1duaN84tAHRVgxVMvNrp' +
  '5Tnom3idHYGW/dskAjATvjIx6VzHm/4e2GiZAyZEIUBDOKPzp5ei/A0iUZpdvngenDwV8Qa/wGdiTmJ7Bp4=';

const ROOTS = { device: DEVICE_ROOT, rim: RIM_ROOT } as const;

const parsed = new Map<keyof typeof ROOTS, Certificate>();

/** NVIDIA's own: what is given with a report never replaces them. Parsed at first use, then kept. */
export function findRoot(name: keyof typeof ROOTS): Certificate {
  const known = parsed.get(name);
  if (known !== undefined) return known;
  const der = decodeBase64(ROOTS[name]);
  if (der === undefined) throw new InternalError(`the pinned root ${name} is not base64`);
  const root = parseCertificate(der);
  parsed.set(name, root);
  return root;
}
