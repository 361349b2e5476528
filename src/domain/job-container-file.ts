/** The parts of a job file that containers have: an OCI image, run once (docs/job-spec.md). */
import { z } from 'zod';
import { jobPathSchema } from './job.ts';
import { commandLimitsFileSchema } from './job-command-file.ts';
import { argumentsFileSchema, environmentFileSchema, pathSourceSchema } from './job-file-fields.ts';
import { imageDigestSchema } from './oci-image.ts';

export const containerWorkloadFileSchema = z.strictObject({
  kind: z.literal('container').describe('Kind of work: container, an OCI image.'),
  image: pathSourceSchema.describe(
    'The image: path of a folder in the OCI image layout (skopeo copy docker://NAME oci:FOLDER), or of a tar of one, or of docker save; relative to this file.',
  ),
  reference: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe('Which image, where the layout has several: its tag, such as latest.'),
  digest: imageDigestSchema
    .optional()
    .describe('Digest of its manifest, as registries show it: sha256: and 64 digits. Another image is refused.'),
  entrypoint: z
    .array(z.string().max(4096))
    .min(1)
    .max(64)
    .optional()
    .describe("Program and first arguments, in place of the image's entrypoint: a list of text."),
  arguments: argumentsFileSchema.describe(
    "In place of the image's command: a list of text; put numbers in quotes. Absent: the image's, unless entrypoint is given.",
  ),
  environment: environmentFileSchema,
  workingFolder: jobPathSchema.optional().describe("Absolute path where it starts. Absent: the image's."),
  limits: commandLimitsFileSchema
    .prefault({})
    .describe('What it may take besides resources: cpus, processes, scratch.'),
});
