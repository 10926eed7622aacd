//! Types as they were written: their sizes and layouts, by Go's rules for 64-bit machines.
//!
//! Go's `src/cmd/compile/internal/types/size.go`: fields stand in order, each at a multiple of its
//! type's alignment; the same from 1.17 to 1.27.

use std::rc::Rc;

use super::Problem;
use crate::binary::{Field, GoKind, GoType, TypeRef, TypeSource};

/// No value is larger.
const LARGEST: u64 = 1 << 40;
const WORD: u64 = 8;

/// The types of one signature.
#[derive(Clone, Debug, Default)]
pub struct WrittenTypes(Vec<Entry>);

#[derive(Clone, Debug)]
enum Entry {
    Known {
        ty: Rc<GoType>,
        align: u64,
    },
    /// A name that nothing is known of, and its place: good enough behind a pointer.
    Unknown {
        name: String,
        at: usize,
    },
}

impl TypeSource for WrittenTypes {
    fn get(&self, at: TypeRef) -> Option<Rc<GoType>> {
        match self.entry(at)? {
            Entry::Known { ty, .. } => Some(Rc::clone(ty)),
            Entry::Unknown { .. } => None,
        }
    }
}

impl WrittenTypes {
    fn entry(&self, at: TypeRef) -> Option<&Entry> {
        self.0.get(usize::try_from(at.0).ok()?)
    }

    fn push(&mut self, entry: Entry) -> TypeRef {
        self.0.push(entry);
        TypeRef(self.0.len() as u64 - 1)
    }

    /// A type whose size and alignment are its kind's.
    pub(super) fn add(&mut self, name: &str, size: u64, kind: GoKind) -> TypeRef {
        let align = match kind {
            GoKind::Complex => size / 2,
            _ => size,
        };
        self.push(Entry::Known {
            ty: Rc::new(GoType {
                name: name.to_owned(),
                size,
                kind,
            }),
            align: align.clamp(1, WORD),
        })
    }

    /// A name that nothing is known of, at a byte of the text.
    pub(super) fn unknown(&mut self, name: &str, at: usize) -> TypeRef {
        let name = name.to_owned();
        self.push(Entry::Unknown { name, at })
    }

    /// The same type by another name.
    pub(super) fn renamed(&mut self, of: TypeRef, name: &str) -> TypeRef {
        match self.entry(of).cloned() {
            Some(Entry::Known { ty, align }) => {
                let mut ty = ty.as_ref().clone();
                name.clone_into(&mut ty.name);
                let ty = Rc::new(ty);
                self.push(Entry::Known { ty, align })
            }
            _ => of,
        }
    }

    pub(super) fn name(&self, of: TypeRef) -> &str {
        match self.entry(of) {
            Some(Entry::Known { ty, .. }) => &ty.name,
            Some(Entry::Unknown { name, .. }) => name,
            None => "?",
        }
    }

    pub(super) fn pointer(&mut self, to: TypeRef) -> TypeRef {
        let name = format!("*{}", self.name(to));
        self.add(&name, WORD, GoKind::Pointer(to))
    }

    pub(super) fn slice(&mut self, of: TypeRef) -> TypeRef {
        let name = format!("[]{}", self.name(of));
        self.add(&name, 3 * WORD, GoKind::Slice(of))
    }

    /// # Errors
    /// The element's layout isn't known, or it would be too large; the byte of the text.
    pub(super) fn array(
        &mut self,
        of: TypeRef,
        length: u64,
        at: usize,
    ) -> Result<TypeRef, (usize, Problem)> {
        let (each, align) = self.extent(of)?;
        let size = each.checked_mul(length).filter(|&size| size <= LARGEST);
        let size = size.ok_or((at, Problem::Large))?;
        Ok(self.push(Entry::Known {
            ty: Rc::new(GoType {
                name: format!("[{length}]{}", self.name(of)),
                size,
                kind: GoKind::Array(of, length),
            }),
            align,
        }))
    }

    /// # Errors
    /// As [`Self::array`].
    pub(super) fn structure(
        &mut self,
        fields: Vec<(String, TypeRef)>,
        at: usize,
    ) -> Result<TypeRef, (usize, Problem)> {
        let (mut size, mut most, mut last) = (0u64, 1, 1);
        let mut name = String::from("struct {");
        let mut placed = Vec::new();
        for (index, (of, ty)) in fields.into_iter().enumerate() {
            let (bytes, align) = self.extent(ty)?;
            let offset = size.next_multiple_of(align);
            name.push_str(if index == 0 { " " } else { "; " });
            name.push_str(&format!("{of} {}", self.name(ty)));
            placed.push(Field {
                name: of,
                offset,
                ty,
            });
            size = offset.saturating_add(bytes);
            most = align.max(most);
            last = bytes;
            if size > LARGEST {
                return Err((at, Problem::Large));
            }
        }
        // An address of the last field must not be one behind the value.
        if last == 0 && size > 0 {
            size += 1;
        }
        name.push_str(if placed.is_empty() { "}" } else { " }" });
        Ok(self.push(Entry::Known {
            ty: Rc::new(GoType {
                name,
                size: size.next_multiple_of(most),
                kind: GoKind::Struct(placed),
            }),
            align: most,
        }))
    }

    /// Size and alignment of a value.
    ///
    /// # Errors
    /// They aren't known: the byte of the text where the type's name stands.
    pub(super) fn extent(&self, of: TypeRef) -> Result<(u64, u64), (usize, Problem)> {
        match self.entry(of) {
            Some(Entry::Known { ty, align }) => Ok((ty.size, *align)),
            Some(Entry::Unknown { name, at }) => Err((*at, Problem::UnknownType(name.clone()))),
            None => Err((0, Problem::Large)),
        }
    }
}
