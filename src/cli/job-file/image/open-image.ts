import { stat } from 'node:fs/promises';
import { describeFileProblem } from '../../framework/describe-file-problem.ts';
import { JobFileError } from '../errors.ts';
import { ImageProblem } from './image-problem.ts';
import { type ImageChoice, type ImageFiles, readLayout } from './read-layout.ts';
import { unpackImageArchive } from './unpack-image-archive.ts';

/** The files of an image: in a folder, or from an archive. @throws JobFileError JOB_FILE_BAD_IMAGE, JOB_FILE_UNREADABLE */
export async function openImage(path: string, choice: ImageChoice): Promise<ImageFiles> {
  const found = await stat(path).catch((error: unknown) => {
    throw new JobFileError({ code: 'JOB_FILE_UNREADABLE', path, reason: describeFileProblem(error) }, { cause: error });
  });
  try {
    return await readLayout(found.isDirectory() ? path : await unpackImageArchive(path), choice);
  } catch (error) {
    if (!(error instanceof ImageProblem)) throw error;
    throw new JobFileError({ code: 'JOB_FILE_BAD_IMAGE', path, reason: error.message }, { cause: error });
  }
}
