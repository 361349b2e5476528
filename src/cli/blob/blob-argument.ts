import { DomainError } from '../../domain/errors.ts';
import { BlobId } from '../../domain/ids.ts';
import { UsageError } from '../../lib/errors.ts';

export const BLOB_ARGUMENT = { name: 'blob', description: 'CID of the blob: bafkrei… or bafybei…', isRequired: true };

/** @throws UsageError unless it is the id of a blob */
export function parseBlobArgument(text: string): BlobId {
  try {
    return BlobId(text);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    throw new UsageError(
      `'${text.slice(0, 80)}' is not the id of a blob`,
      'It begins with bafkrei or bafybei and has 59 characters, as `fogproof blob list` shows them.',
    );
  }
}
