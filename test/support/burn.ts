// A process that takes all it can get of a core, until the one that started it is gone.
process.on('disconnect', () => process.exit());

burn();

function burn(): void {
  const end = performance.now() + 50;
  while (performance.now() < end);
  setImmediate(burn);
}
