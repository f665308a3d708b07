import { defineConfig } from 'vite';

const hashed = { hashCharacters: 'hex', chunkFileNames: 'chunks/[name].[hash:12].js' } as const;

// Entries, styles and typefaces keep fixed names: Django's static files add the hash. Chunks and other assets (the image
// codecs, the decoding worker) are found by relative addresses inside the bundle, so they carry their own.
export default defineConfig({
  base: './',
  publicDir: 'static/src/public',
  resolve: { alias: { events: 'events/', url: 'url/' } },
  worker: {
    format: 'es',
    rollupOptions: {
      output: {
        ...hashed,
        entryFileNames: 'chunks/[name].[hash:12].js',
        assetFileNames: 'assets/[name].[hash:12][extname]',
      },
    },
  },
  build: {
    outDir: 'static/dist',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    chunkSizeWarningLimit: 5000, // vtk.js and the image codecs, on the study page alone,
    rollupOptions: {
      input: {
        site: 'static/src/site.ts',
        about: 'static/src/about.ts',
        compare: 'static/src/compare.ts',
        upload: 'static/src/upload.ts',
        patient: 'static/src/patient.ts',
        study: 'static/src/study.ts',
        worklist: 'static/src/worklist.ts',
      },
      output: {
        ...hashed,
        entryFileNames: '[name].js',
        assetFileNames: ({ names }) => {
          if (names.some((name) => name.endsWith('.css'))) return '[name][extname]';
          return names.some((name) => name.endsWith('.woff2')) ? 'assets/[name][extname]' : 'assets/[name].[hash:12][extname]';
        },
      },
    },
  },
});
