// SPDX-License-Identifier: Apache-2.0
//
// Build step, run by gmavenplus-plugin, that writes target/generated-sources/polyshm: what JavaCPP's
// parser made of polyshm.h, if the module has that, and src/main/templates/**/*.java.ftl, each expanded
// once with the table of element types below. A template writes one Java file with a nested type for
// each element type.

import freemarker.template.Configuration

def types = [
    //  name       primitive   bytes  buffer          stream             ordered cas    add
    type('Boolean', 'boolean', 1,     'ByteBuffer',   'Stream<Boolean>', false,  false, false, 'PSHM_BOOLEAN'),
    type('Byte',    'byte',    1,     'ByteBuffer',   'IntStream',       false,  false, false, 'PSHM_INT8'),
    type('Short',   'short',   2,     'ShortBuffer',  'IntStream',       true,   false, false, 'PSHM_INT16'),
    type('Char',    'char',    2,     'CharBuffer',   'IntStream',       true,   false, false, 'PSHM_CHAR16'),
    type('Int',     'int',     4,     'IntBuffer',    'IntStream',       true,   true,  true,  'PSHM_INT32'),
    type('Long',    'long',    8,     'LongBuffer',   'LongStream',      true,   true,  true,  'PSHM_INT64'),
    type('Float',   'float',   4,     'FloatBuffer',  'DoubleStream',    true,   true,  false, 'PSHM_FLOAT32'),
    type('Double',  'double',  8,     'DoubleBuffer', 'DoubleStream',    true,   true,  false, 'PSHM_FLOAT64'),
]

def type(name, primitive, bytes, buffer, stream, ordered, cas, add, pshmType) {
    def boxed = [int: 'Integer', char: 'Character'].getOrDefault(primitive, name)
    [name: name, primitive: primitive, boxed: boxed, bytes: bytes, buffer: buffer, stream: stream,
     ordered: ordered, cas: cas, add: add, pshmType: pshmType]
}

def sources = new File(project.build.directory, 'generated-sources/polyshm')

// Written only when it differs, so that an up-to-date tree is not compiled again.
def publish = { path, text ->
    def file = new File(sources, path)
    if (!file.file || file.getText('UTF-8') != text) {
        file.parentFile.mkdirs()
        file.setText(text, 'UTF-8')
    }
}

def templates = new File(project.basedir, 'src/main/templates')
def freemarker = new Configuration(Configuration.VERSION_2_3_34)
freemarker.directoryForTemplateLoading = templates
freemarker.defaultEncoding = 'UTF-8'
freemarker.numberFormat = 'computer'
templates.eachFileRecurse { file ->
    if (!file.name.endsWith('.java.ftl')) return
    def path = templates.toPath().relativize(file.toPath()).toString()
    def text = new StringWriter()
    freemarker.getTemplate(path).process([types: types], text)
    publish(path - '.ftl', text.toString())
}

// JavaCPP's struct classes override a generic method of Pointer without type arguments.
def parsed = new File(project.build.directory, 'javacpp')
if (parsed.exists()) parsed.eachFileRecurse { file ->
    if (!file.name.endsWith('.java')) return
    def text = file.getText('UTF-8')
    if (file.name.startsWith('pshm_')) {
        text = text.replace('\npublic class', '\n@SuppressWarnings("unchecked")\npublic class')
    }
    publish(parsed.toPath().relativize(file.toPath()).toString(), text)
}
