/** Lines of at most `width` characters where words allow, with `first` before the first and `rest` before the others. */
export function wrapText(text: string, lead: { readonly first: string; readonly rest: string }, width = 100): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].map((content, index) => `${index === 0 ? lead.first : lead.rest}${content}`);
}
