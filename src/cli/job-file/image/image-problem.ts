/** Why an image cannot be taken, for whoever names it. */
export class ImageProblem extends Error {
  override readonly name = 'ImageProblem';
}
